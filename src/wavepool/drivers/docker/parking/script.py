"""What a parked shell is told: one compound command, which makes the shell become the task. Pure.

Any POSIX shell must read it alike (tried with dash, busybox and bash). A compound command is parsed whole before any
of it is done: half of it, cut off by an orchestrator's death, does nothing. Every text of the task's is in single
quotes, in which no byte but the quote itself means anything.

The start mark is written when all that can fail is done and directly before the shell becomes the task: a shell that
cannot do what it was told ends without a mark, and so has never run anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from wavepool.errors import InputError

SHELL = "/bin/sh"
SLOT_TARGET = "/run/wavepool-slot"
"""Where a parked container sees the directory for its start mark."""
MARK_FILE = "started"
NOT_TAKEN = 125
"""Exit code of a shell that could not do what it was told."""
STRING_MAX_BYTES = 128 * 1024 - 1
"""The kernel's MAX_ARG_STRLEN less the final NUL, for an argument as for NAME=value."""
ALL_MAX_BYTES = 1536 * 1024
"""Of arguments and variables together; the kernel takes 2 MiB with the usual stack, image's variables included."""

CHANGED_BY_SHELLS = ("PWD", "OLDPWD", "SHLVL", "_")
"""Variables that one shell or another sets and hands on: a task gets them only where they were meant for it."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_OWN = frozenset(
    [
        "DIRSTACK",
        "EGID",
        "EPOCHREALTIME",
        "EPOCHSECONDS",
        "EUID",
        "FUNCNAME",
        "GID",
        "GROUPS",
        "HISTCMD",
        "IFS",
        "KSH_VERSION",
        "LINENO",
        "OPTARG",
        "OPTERR",
        "OPTIND",
        "PGRP",
        "PIPESTATUS",
        "POSIXLY_CORRECT",
        "PPID",
        "RANDOM",
        "SECONDS",
        "SHELLOPTS",
        "SRANDOM",
        "UID",
    ]
)
"""Variables that a shell reads, forbids or makes up itself; whoever wants to set them starts cold."""
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")


def is_settable(name: str) -> bool:
    """Whether a variable of this name comes through every shell as it was given."""
    return _NAME.fullmatch(name) is not None and name not in _OWN and not name.startswith("BASH")


def take_over(
    *,
    mark: str,
    command: Sequence[str],
    variables: Mapping[str, str | bytes | None],
    secrets: Mapping[str, bytes],
    directory: str = "",
) -> bytes:
    """The command that makes the shell the task.

    Args:
        mark: what the start mark says: which attempt it is.
        command: argv.
        variables: to be set, or not to be there at all (None).
        secrets: files for /run/secrets, mode 0400.
        directory: where to go first, absolute; empty for where the shell is.

    Raises:
        InputError: something that cannot be told to every shell.
    """
    own = {name: variables.get(name) for name in CHANGED_BY_SHELLS}
    others = {name: value for name, value in variables.items() if name not in own}
    argv = words(command)
    parts = [*settings(others), *_secret_files(secrets), *_mark(mark)]
    if directory:
        parts.append(b"cd %b || exit 126" % quoted(absolute(directory)))
    parts += [*settings(own), b"exec %b <>/dev/null" % argv]
    check_room(command, variables)
    return b"{ " + b"; ".join(parts) + b"; }\n"


def settings(variables: Mapping[str, str | bytes | None]) -> list[bytes]:
    """Commands that export, or unset, these variables. Raises InputError for one that no shell could."""
    gone = [name for name, value in variables.items() if value is None]
    kept = {name: value for name, value in variables.items() if value is not None}
    for name in variables:
        if not is_settable(name):
            raise InputError(f"the variable {name!r} cannot be set through a shell")
    commands = [b"unset " + b" ".join(name.encode() for name in gone)] if gone else []
    if kept:
        commands.append(b"export " + b" ".join(_assigned(name, value) for name, value in kept.items()))
    return commands


def words(command: Sequence[str]) -> bytes:
    """argv as words of a shell, its program first. Raises InputError where a shell's `exec` would not take it."""
    if not command or not command[0]:
        raise InputError("a command needs a program")
    if command[0].startswith("-"):
        raise InputError(f"the program {command[0]!r} would be an option to a shell")
    return b" ".join(quoted(word) for word in command)


def quoted(text: str | bytes) -> bytes:
    """`text` as one word of any shell. Raises InputError for a NUL, which no argument can have."""
    data = encoded(text)
    if b"\0" in data:
        raise InputError("a NUL cannot be told to a shell")
    return b"'" + data.replace(b"'", b"'\\''") + b"'"


def encoded(text: str | bytes) -> bytes:
    """The bytes that `text` stands for: UTF-8, with what Python made of other bytes of the system back as it was."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise InputError(f"a text with half a character cannot be told to a shell: {error.reason}") from None


def _assigned(name: str, value: str | bytes) -> bytes:
    return name.encode() + b"=" + quoted(value)


def _secret_files(secrets: Mapping[str, bytes]) -> list[bytes]:
    """Commands that write secrets by the shell itself: no other program sees them, and no argv holds them."""
    if not secrets:
        return []
    # A printf that is a program of its own would show them in /proc to all; a shell names its own without a path.
    commands = [b'case "$(command -v printf)" in printf) ;; *) exit 125 ;; esac', b"umask 0377"]
    for name, value in secrets.items():
        if not _SECRET.fullmatch(name):
            raise InputError(f"{name!r} cannot be the name of a secret")
        commands.append(b"printf '%b' >/run/secrets/%b || exit 125" % (_octal(value), name.encode()))
    return [*commands, b"umask 0022"]


def _octal(value: bytes) -> bytes:
    """A format for printf that makes `value`, whatever bytes it has."""
    return b"".join(bytes((byte,)) if byte in _PLAIN else b"\\%03o" % byte for byte in value)


def _mark(text: str) -> list[bytes]:
    """Make the mark, or end: with noclobber only the first one can."""
    written = b"printf %%s %b >%b/%b || exit 125" % (quoted(text), SLOT_TARGET.encode(), MARK_FILE.encode())
    return [b"set -C", written, b"set +C"]


def absolute(directory: str) -> str:
    """`directory` itself. Raises InputError where it depends on where the shell is."""
    if not directory.startswith("/"):
        raise InputError(f"the directory {directory!r} is not absolute")
    return directory


def check_room(command: Sequence[str], variables: Mapping[str, str | bytes | None]) -> None:
    """Raise InputError for what execve would refuse."""
    sizes = [len(encoded(word)) for word in command]
    sizes += [len(name) + 1 + len(encoded(value)) for name, value in variables.items() if value is not None]
    if max(sizes) > STRING_MAX_BYTES or sum(sizes) > ALL_MAX_BYTES:
        raise InputError(
            f"an argument or a variable of more than {STRING_MAX_BYTES} bytes, or too many of them",
            advice="Pass long text by the prompt file.",
        )
