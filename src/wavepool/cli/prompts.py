"""Prompts and task lists, from wherever the user has them: words of the command line, files, standard input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wavepool.cli.given import STDIN, read_given
from wavepool.cli.request import limit_policy_of
from wavepool.config import Settings
from wavepool.errors import SettingError, UnreadableFile
from wavepool.model import AgentOrder
from wavepool.plan import Plan, TaskDefaults, TierMap, parse_task_list

FILE_MARK = "@"
_HOW = "Give it as one word in quotes, as @FILE, or as - for standard input."
_YAML = {".yaml": True, ".yml": True, ".json": False}


def read_prompts(words: Sequence[str], files: Sequence[str]) -> list[str]:
    """The prompts, byte for byte: the words as they are, ``-`` standard input, ``@FILE`` and `files` those files.

    ``@@x`` is the prompt ``@x``.

    Raises:
        InputError: there is none, one is empty or no UTF-8, or it cannot be read.
    """
    if (*words, *files).count(STDIN) > 1:
        raise SettingError("PROMPT", STDIN, "standard input once: all of it is one prompt")
    prompts = [_prompt(word) for word in words] + [read_text(file, "--prompt-file") for file in files]
    if not prompts:
        raise SettingError("PROMPT", None, "what the agent shall do", advice=_HOW)
    for number, prompt in enumerate(prompts, 1):
        if not prompt.strip():
            which = "" if len(prompts) == 1 else f" {number}"
            raise SettingError(f"PROMPT{which}", prompt, "a prompt that is not empty", advice=_HOW)
    return prompts


def _prompt(word: str) -> str:
    if word == STDIN:
        return read_text(STDIN, "PROMPT")
    if word.startswith(FILE_MARK * 2):
        return word[1:]
    if not word.startswith(FILE_MARK):
        return word
    try:
        return read_text(word[1:], "PROMPT")
    except UnreadableFile as error:
        error.advice = f"A prompt that begins with {FILE_MARK} names a file; write {FILE_MARK * 2} for one of your own."
        raise


def read_text(path: str, option: str) -> str:
    """A file's text, a mark of its byte order included; standard input for ``-``.

    Raises:
        UnreadableFile: it cannot be read, or is no UTF-8.
    """
    raw = read_given(path, option)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        shown = "standard input" if path == STDIN else path
        wrong = f"byte 0x{raw[error.start]:02x} at offset {error.start} is no UTF-8"
        raise UnreadableFile(option, shown, ValueError(wrong)) from None


def read_tasks(path: str, usual: TaskDefaults) -> Plan:
    """The task list in a file, or in standard input for ``-``. Names of prompt files count from where it is.

    Raises:
        InputError: it cannot be read, or something in it is wrong.
    """
    raw = read_given(path, "FILE", advice="Name a task list as JSON or YAML, or - for standard input.")
    base = Path() if path == STDIN else Path(path).parent

    def read_prompt(name: str) -> str:
        return read_text(str(base / Path(name).expanduser()), "prompt_file")

    return parse_task_list(
        raw,
        source="standard input" if path == STDIN else path,
        usual=usual,
        read_prompt=read_prompt,
        is_yaml=_YAML.get(Path(path).suffix.lower()),
    )


def usual_of(settings: Settings, flags: Sequence[str]) -> TaskDefaults:
    """What holds where a task says nothing; `flags` are the agent's further words.

    Raises:
        SettingError: a soft limit of the settings that is not below the hard one of the settings.
    """
    order = AgentOrder(
        name=settings.agent,
        max_turns=settings.max_turns,
        model=settings.model,
        flags=tuple(flags),
        account=settings.account or "",
        max_cost_usd=settings.max_cost,
        max_tokens=settings.max_tokens,
    )
    return TaskDefaults(
        order=order,
        memory_bytes=settings.agent_memory,
        memory_override_bytes=settings.memory,
        tiers=TierMap(overrides=settings.tier_overrides),
        policy=limit_policy_of(settings),
    )
