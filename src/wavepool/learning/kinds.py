"""Which tasks are alike: by the kind that they name, else by what runs in them; and which are the very same.

A kind is for people: it stands in tables. A twin is a digest, and tells that the same work was done before.
"""

from __future__ import annotations

import hashlib
import re

from wavepool.model import Task

KIND_MAX = 80
"""Characters; a longer kind is cut, so that tables stay readable and the file small."""

_SHELLS = frozenset({"ash", "bash", "dash", "ksh", "sh", "zsh"})
_WRAPPERS = frozenset({"env", "exec", "nice", "nohup", "sudo", "time", "timeout"})
_INTERPRETERS = frozenset({"deno", "node", "npm", "npx", "perl", "pnpm", "poetry", "ruby", "uv", "yarn"})
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_BREAKS = re.compile(r"[\s;&|()<>{}]+")
_NUMBER = re.compile(r"[\d.]+[smhd]?")


def kind_of(task: Task, image: str) -> str:
    """The kind that the task names; else its agent and model, else the program that it runs, else its image; and tier.

    Args:
        task: any.
        image: of tasks that name none.
    """
    if task.kind:
        return _shown(task.kind)
    return _shown(f"{_what(task, image)}, tier {task.tier}")


def twin_of(task: Task, image: str) -> str:
    """16 hex digits, the same for tasks that are given the same work.

    That is id (the task can read it), kind, command, agent, prompt, files, image and its own variables. Limits do not
    count: they change how it is done and not what.
    """
    agent = (task.agent.name, task.agent.model) if task.agent is not None else None
    env = sorted(task.env.items())
    work = (task.id, task.kind, task.command, task.commands, agent, task.prompt, task.files, task.image or image, env)
    return hashlib.blake2b(repr(work).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def program_of(command: tuple[str, ...]) -> str:
    """The program that a command is about: ``pytest`` of ``sh -c "CI=1 pytest"``, ``build.py`` of ``python build.py``.

    Shells, interpreters and wrappers say little, so what they are given is looked at; without that they stand for it.
    """
    words = list(command)
    while words:
        name, rest = _base(words[0]), words[1:]
        if name in _WRAPPERS:
            words = _dropping(rest)
        elif name in _SHELLS:
            return _script(name, rest)
        elif name in _INTERPRETERS or name.startswith("python"):
            return _run_by(name, rest)
        else:
            return name
    return _base(command[0]) if command else ""


def _what(task: Task, image: str) -> str:
    if task.agent is not None:
        return f"{task.agent.name} {task.agent.model}" if task.agent.model else task.agent.name
    command = task.command or next(iter(task.commands), None)
    return program_of(command) if command else task.image or image


def _dropping(words: list[str]) -> list[str]:
    """Past the options, assignments and numbers that stand between a wrapper and what it runs."""
    for place, word in enumerate(words):
        if not (word.startswith("-") or _ASSIGNMENT.match(word) or _NUMBER.fullmatch(word)):
            return words[place:]
    return []


def _script(shell: str, arguments: list[str]) -> str:
    """Of a shell with -c the first program of its script, else the script's name."""
    for place, word in enumerate(arguments):
        if word.startswith("-") and not word.startswith("--"):
            if "c" in word:
                text = arguments[place + 1] if place + 1 < len(arguments) else ""
                return _first_program(text) or shell
        elif not word.startswith("-"):
            return _base(word)
    return shell


def _first_program(script: str) -> str:
    words = [word for word in _BREAKS.split(script.strip()) if word]
    return next((_base(word) for word in words if not _ASSIGNMENT.match(word)), "")


def _run_by(name: str, arguments: list[str]) -> str:
    """``python -m pytest`` is pytest, ``npm test`` is npm test, ``node app.js`` is app.js."""
    for place, word in enumerate(arguments):
        if word == "-m" and place + 1 < len(arguments):
            return arguments[place + 1]
        if word in ("-c", "-e"):
            return name
        if not word.startswith("-"):
            return _base(word) if "." in word or "/" in word else f"{name} {word}"
    return name


def _base(word: str) -> str:
    return word.rstrip("/").rpartition("/")[2] or word


def _shown(text: str) -> str:
    """Without what a terminal would obey, and not too long."""
    plain = "".join(character if character.isprintable() else "?" for character in text)
    return plain if len(plain) <= KIND_MAX else f"{plain[: KIND_MAX - 1]}…"
