"""Secrets: where a value comes from, and the one place that reads it. No message ever shows a value."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from wavepool.errors import SettingError, UnreadableFile
from wavepool.model import SecretSource

SECRET_MAX_BYTES = 1 << 20
"""Secrets lie in memory inside the task; Docker's own have a bound of 500 kB."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_EXPECTED = "NAME, NAME=env:VARIABLE or NAME=file:PATH"


def secret_name_problem(name: str) -> str | None:
    """None if a secret may have this name, else what was expected instead."""
    if _NAME.fullmatch(name) and name not in {".", ".."}:
        return None
    return "the name of a secret: 1 to 64 letters, digits, _, . and -"


def parse_secrets(items: Sequence[str], *, option: str = "--secret") -> tuple[SecretSource, ...]:
    """All secrets, in the order given.

    Raises:
        SettingError: one of them is wrong, or two have the same name.
    """
    sources: dict[str, SecretSource] = {}
    for item in items:
        source = parse_secret(item, option=option)
        if source.name in sources:
            raise SettingError(option, source.name, "each secret once")
        sources[source.name] = source
    return tuple(sources.values())


def parse_secret(text: str, *, option: str = "--secret") -> SecretSource:
    """Where a secret is read: ``NAME`` (the variable NAME), ``NAME=env:VARIABLE``, ``NAME=file:PATH`` or ``NAME=PATH``.

    Paths become absolute, so that a resumed run finds them from another directory.

    Raises:
        SettingError: malformed, or what follows ``=`` is no file (perhaps the secret itself, so it is not shown).
    """
    name, equals, place = text.partition("=")
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise SettingError(option, name, f"{_EXPECTED}, the name of 1 to 64 letters, digits, _, . and -")
    if not equals:
        return SecretSource(name=name, kind="env", source=name)
    kind, colon, rest = place.partition(":")
    if colon and kind in {"env", "file"}:
        if not rest or "\0" in rest:
            raise SettingError(option, f"{name}={kind}:", _EXPECTED)
        return SecretSource(name=name, kind=kind, source=rest if kind == "env" else _absolute(rest))
    if "\0" in place or not os.path.exists(_absolute(place)) or not place:
        raise SettingError(
            option,
            f"{name}=…",
            _EXPECTED,
            advice="A secret's value is never given on the command line; name its place.",
        )
    return SecretSource(name=name, kind="file", source=_absolute(place))


def read_secret(source: SecretSource, environ: Mapping[str, str]) -> bytes:
    """The secret's value, byte for byte; from a variable as UTF-8 (undecodable bytes as they were).

    Args:
        source: where it is.
        environ: the variables to look in.

    Raises:
        SettingError: the variable is not set, or the value is larger than 1 MiB.
        UnreadableFile: the file cannot be read.
    """
    option = f"--secret {source.name}"
    value = _read_variable(option, source, environ) if source.kind == "env" else _read_file(option, source)
    if len(value) > SECRET_MAX_BYTES:
        raise SettingError(option, f"{source.kind}:{source.source}", "a secret of at most 1 MiB")
    return value


def _read_variable(option: str, source: SecretSource, environ: Mapping[str, str]) -> bytes:
    if source.source not in environ:
        raise SettingError(option, f"env:{source.source}", "a variable that is set")
    return environ[source.source].encode("utf-8", "surrogateescape")


def _read_file(option: str, source: SecretSource) -> bytes:
    try:
        with open(source.source, "rb") as file:
            return file.read(SECRET_MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableFile(option, source.source, error) from None


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))
