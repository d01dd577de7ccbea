"""What a check is, and how one ends."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wavepool.errors import CheckError, SettingError
from wavepool.units import MIB

TIMEOUT_S = 600.0
OUTPUT_LIMIT_BYTES = 256 * MIB
COMMAND_MAX_BYTES = 100_000
"""The system carries no word of 128 KiB."""
PROGRESS_S = 5.0
"""Between two lines of progress."""

Tell = Callable[[str], None]
"""Takes a sentence for a person."""

_SHELL = (
    'if command -v bash >/dev/null 2>&1; then exec bash -o pipefail -c "$1"; fi; '
    '(set -o pipefail) 2>/dev/null && set -o pipefail; eval "$1"'
)
"""With pipefail wherever the shell has it: a check piped into `tee` must not pass because `tee` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A command that fails as long as something is wrong.

    Attributes:
        argv: what is executed.
        shown: the command as it was typed.
        shell: a shell runs it.
        workspace: the directory it runs in, absolute and without links.
        timeout_s: above zero; beyond it the check is ended.
        output_limit_bytes: of both streams together; beyond it the check is ended.
    """

    argv: tuple[str, ...]
    shown: str
    shell: bool
    workspace: Path
    timeout_s: float = TIMEOUT_S
    output_limit_bytes: int = OUTPUT_LIMIT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a check ended that was neither cut off nor interrupted.

    Attributes:
        exit_code: None where nobody knows: its output was handed in.
        took_s: from its start to the last of its output being read.
        output_bytes: of both streams.
        last_words: the end of its output as text, bounded.
        where: ``host``, the image that it ran in, or the file that its output was read from.
        run_id: of the run that it was; None where it was none.
        notices: what a person should be told of its end.
        doubt: why no tool's word in it that all is well is good enough, where only that could tell; empty for none.
    """

    exit_code: int | None
    took_s: float
    output_bytes: int
    last_words: str
    where: str
    run_id: str | None = None
    notices: tuple[str, ...] = ()
    doubt: str = ""


class CheckLost(CheckError):
    """A check that another process had begun came to no end of its own, and nobody ended it for what it did."""


class Interrupted(Exception):
    """Ctrl-C, or SIGTERM. The check was ended, with what was in its group or held its output."""


def argv_of(command: str, *, shell: bool) -> tuple[str, ...]:
    """The command as it is executed: its words, or a shell that gets all of it.

    Raises:
        SettingError: it is empty or too long, has a NUL, quotes that do not close, or what only a shell knows.
    """
    if "\0" in command:
        raise SettingError("--command", command, "a command without NUL")
    if len(command.encode(errors="replace")) > COMMAND_MAX_BYTES:
        raise SettingError("--command", command, f"at most {COMMAND_MAX_BYTES} bytes", advice="Put it into a script.")
    if shell and command.strip():
        return ("/bin/sh", "-c", _SHELL, "wavepool-check", command)
    try:
        words = tuple(shlex.split(command))
        operator = only_for_shells(command)
    except ValueError as error:
        advice = "Close the quote, or give --shell to have a shell read the command."
        raise SettingError("--command", command, f"words as in a shell ({error})", advice=advice) from None
    if not words or not words[0]:
        raise SettingError("--command", command, 'a command that is not empty, such as "npx tsc --noEmit"')
    if operator:
        expected = f"a program and its arguments; {operator} is a shell's"
        advice = "Give --shell to have a shell read the command, or put it in quotes."
        raise SettingError("--command", command, expected, advice=advice)
    return words


def only_for_shells(command: str) -> str:
    """What stands in it, outside of quotes, that only a shell would understand; empty for nothing.

    That is an operator, a variable, a pattern of file names, a home directory, or a variable set for the command.

    Raises:
        ValueError: its quotes do not close.
    """
    tokens = shlex.shlex(command, posix=False, punctuation_chars=_OPERATORS)
    tokens.whitespace_split, tokens.commenters = True, ""
    words = list(tokens)
    if words and _SET.match(words[0]):
        return words[0]
    return next((token for token in words if set(token) <= set(_OPERATORS) or _EXPANDED.search(_bare(token))), "")


def _bare(word: str) -> str:
    """Without what is quoted or escaped in it."""
    return _QUOTED.sub("\0", word)


_OPERATORS = "|&;<>"
_SET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_EXPANDED = re.compile(r"[*?`]|\$[A-Za-z_0-9{(@*#?$!]|^~")
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
