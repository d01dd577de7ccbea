"""Variables for tasks: which names and values are allowed, and how options and files spell them.

The same rules hold for `--environment`, `--env-file` and a batch's `env`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wavepool.errors import SettingError

FORBIDDEN_VARIABLES = frozenset(
    {
        # They make the dynamic loader run code of the caller's choice in every program of the task.
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_DEBUG",
        # They point a Docker client inside the task at a daemon, ours or another.
        "DOCKER_HOST",
        "DOCKERHOST",
        "DOCKER_SOCKET",
        "DOCKER_CONFIG",
        "DOCKER_CERT_PATH",
        "DOCKER_TLS",
        "DOCKER_TLS_VERIFY",
        "DOCKER_API_VERSION",
    }
)

STRING_MAX_BYTES = 131_072
"""Linux executes no program with an argument or ``NAME=value`` of this size (MAX_ARG_STRLEN, which counts the NUL)."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}", re.ASCII)
_NAME_EXPECTED = "a variable's name: letters, digits, _, . and -, not starting with a digit"


def variable_problem(name: str) -> str | None:
    """None if a task may have a variable of this name, else what was expected instead."""
    if name in FORBIDDEN_VARIABLES:
        return "another variable: it would reach the program loader or a Docker daemon, and is not passed to tasks"
    return None if _NAME.fullmatch(name) else _NAME_EXPECTED


def value_problem(name: str, value: str) -> str | None:
    """None if a task may have this value for the variable `name`, else what was expected instead."""
    if "\0" in value:
        return "a value without NUL"
    return string_problem(f"{name}={value}")


def string_problem(text: str) -> str | None:
    """None if `text` can be one argument or one ``NAME=value`` of a program, else what was expected instead."""
    if "\0" in text:
        return "text without NUL"
    # A character has at most four bytes: short texts need not be encoded to know.
    if len(text) * 4 >= STRING_MAX_BYTES and len(text.encode("utf-8", "surrogateescape")) >= STRING_MAX_BYTES:
        return "fewer than 131072 bytes, the most that Linux passes to a program in one piece"
    return None


def parse_environment(items: Sequence[str], *, option: str = "--environment") -> dict[str, str]:
    """Variables from ``NAME=VALUE`` texts. The value may be empty and may contain ``=``; the last of a name wins.

    Raises:
        SettingError: no ``=``, a name that is empty, malformed or forbidden, or a value that cannot be passed on.
    """
    variables: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            raise SettingError(option, item, "NAME=VALUE")
        variables[name] = _checked(option, name, value)
    return variables


def parse_env_file(text: str, source: str) -> dict[str, str]:
    """Variables from a file of ``NAME=VALUE`` lines, read as Docker reads its env files.

    Blank lines and those that start with ``#`` are skipped; a value is what follows the first ``=`` up to the end of
    the line, quotes and blanks included. The last of a name wins.

    Args:
        text: the file's content.
        source: its path, for messages.

    Raises:
        SettingError: naming source and line. The value is never shown: such files hold what should stay private.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        entry = line.removesuffix("\r").lstrip()
        if not entry or entry.startswith("#"):
            continue
        name, equals, value = entry.partition("=")
        where = f"{source}, line {number}"
        if not equals:
            raise SettingError(where, "a line without =", "NAME=VALUE")
        variables[name] = _checked(where, name, value)
    return variables


def _checked(where: str, name: str, value: str) -> str:
    problem = variable_problem(name)
    if problem is not None:
        raise SettingError(where, name, problem)
    problem = value_problem(name, value)
    if problem is not None:
        raise SettingError(where, f"{name}=…", problem)
    return value
