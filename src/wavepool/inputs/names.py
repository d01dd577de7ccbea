"""Names and small values: run ids, cleanup patterns, timeouts, image references, network names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from wavepool.errors import InputError, SettingError
from wavepool.units import parse_duration

_RUN_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}", re.ASCII)
LATEST = "latest"
"""Stands for the run that began last."""

_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]{1,200}", re.ASCII)
_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@\[\]-]{0,511}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePattern:
    """A shell pattern (``*`` and ``?``) over container names. It narrows what labels select, and never widens it."""

    text: str

    def matches(self, name: str) -> bool:
        """True if the whole name fits, upper and lower case being different."""
        return fnmatchcase(name, self.text)


def parse_pattern(text: str, wave: int, *, prefix: str = "cfn-", option: str = "--pattern") -> NamePattern:
    """A cleanup pattern for one wave: it must spell out ``<prefix>wave<N>`` before its first wildcard.

    Args:
        text: as in ``cfn-wave1-*``.
        wave: the wave that is being cleaned up.
        prefix: what our names start with.

    Raises:
        SettingError: empty, too wide, for another wave, or with a character that no name has.
    """
    start = f"{prefix}wave{wave}"
    expected = f"a pattern that starts with {start}-, such as {start}-*"
    if not _PATTERN.fullmatch(text):
        raise SettingError(option, text, f"{expected}, of letters, digits and _ . - * ? only")
    following = text[len(start) : len(start) + 1]
    if not text.startswith(start) or following.isdigit():
        raise SettingError(option, text, expected)
    return NamePattern(text=text)


def parse_run_id(text: str, *, option: str = "--run-id") -> str:
    """A run's id, which is also a directory's name.

    Raises:
        SettingError: empty, too long, or with other characters.
    """
    if not _RUN_ID.fullmatch(text):
        raise SettingError(
            option, text, "1 to 63 lower case letters, digits, _, . and -, starting with a letter or digit"
        )
    return text


def parse_new_run_id(text: str, *, option: str = "--run-id") -> str:
    """The id that a run is given, which must be no word for another one.

    Raises:
        SettingError: as `parse_run_id`, or `LATEST`.
    """
    if text == LATEST:
        raise SettingError(option, text, "an id of its own: that word stands for the newest run")
    return parse_run_id(text, option=option)


def parse_timeout(value: str | float, *, option: str = "--timeout") -> float:
    """Seconds above zero of ``1800``, ``30m`` or ``1m36s``.

    Raises:
        SettingError: not a duration, zero or negative.
    """
    try:
        return parse_duration(value)
    except InputError:
        raise SettingError(option, value, "a duration above zero such as 1800, 30m or 1m36s") from None


def image_problem(reference: str) -> str | None:
    """None if `reference` can name an image, else what was expected instead.

    Only the alphabet is checked; whether there is such an image is the engine's to say.
    """
    return None if _IMAGE.fullmatch(reference) else "an image reference such as name:tag"


def network_problem(name: str) -> str | None:
    """None if tasks may share a network of this name, else what was expected instead."""
    if name == "host":
        return "a network of its own name: the host's network would put tasks on the host's own interfaces"
    if name == "none":
        return "a network's name; for no network at all use --isolate none"
    return None if _NETWORK.fullmatch(name) else "a network's name: letters, digits, _, . and -"
