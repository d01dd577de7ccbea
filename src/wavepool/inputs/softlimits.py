"""Soft limits as people write them: ``200``, ``80%:warn``, ``6g:stop``, ``10m``, ``off``."""

from __future__ import annotations

from typing import Literal

from wavepool.errors import InputError
from wavepool.model import Act, Bound, WatchdogRule
from wavepool.units import parse_duration, parse_size

Off = Literal["off"]
SoftLimit = Bound | Off
"""A soft limit, or the word that switches one off that a preset, a default or the run has."""

EXPECTED = {
    WatchdogRule.PIDS: "a number of processes from 2, or a part of the hard limit such as 80%",
    WatchdogRule.MEMORY: "a size such as 6g, or a part of the hard limit such as 80%",
    WatchdogRule.LIFETIME: "a duration such as 90m or 11h",
    WatchdogRule.NO_PROGRESS: "a duration such as 10m",
}
TAIL = "with :warn or :stop (which it is unless told) after it; or off"


def parse_soft_limit(rule: WatchdogRule, given: object) -> SoftLimit:
    """The soft limit that `given` stands for: a text, a number, or False for off.

    Raises:
        InputError: it is none.
    """
    if given is False or (isinstance(given, str) and given.strip().lower() == "off"):
        return "off"
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise _wrong(rule, given)
    threshold, colon, act = str(given).strip().partition(":")
    try:
        return Bound(threshold=_threshold(rule, threshold), act=Act(act.strip().lower()) if colon else Act.STOP)
    except (InputError, ValueError):
        raise _wrong(rule, given) from None


def expected_soft_limit(rule: WatchdogRule) -> str:
    """What a right value is; ends the message about a wrong one."""
    below = "" if rule is WatchdogRule.NO_PROGRESS else "below the hard limit, "
    return f"{EXPECTED[rule]}, {below}{TAIL}"


def _threshold(rule: WatchdogRule, text: str) -> float:
    if rule in (WatchdogRule.LIFETIME, WatchdogRule.NO_PROGRESS):
        return parse_duration(text)
    if text.endswith("%"):
        part = float(text[:-1]) / 100
        if not 0 < part < 1:
            raise ValueError("no part of a limit")
        return part
    number = int(text) if rule is WatchdogRule.PIDS else parse_size(text)
    if number < 2:
        raise ValueError("no threshold")
    return float(number)


def _wrong(rule: WatchdogRule, given: object) -> InputError:
    return InputError(f"got {given!r}, expected {expected_soft_limit(rule)}")
