"""What agents say when an account has no more to give, and when it will. For errors only, never for a model's words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from wavepool.agents.jsonvalues import moment

_LOOKED_AT = 4000
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LIMITED = re.compile(
    r"usage limit reached|usage limit has been reached|hit your (?:[\w.-]+ ){0,3}limit|limit reached (?:[∙·|]|for )"
    r"|rate[ _]limit(?:ed|_error| reached| exceeded\b)"
    r"|exceed your (?:account|organization)'s (?:\w+ )?rate limit|\b429\b|too many requests"
    r"|reached your specified (?:\w+ )?usage limits?|out of extra usage",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"limit reached\|(\d{9,13})\b", re.IGNORECASE)
_DATE = re.compile(r"regain access on (\d{4})-(\d\d)-(\d\d)(?: at (\d\d):(\d\d))?", re.IGNORECASE)
_DAY = re.compile(
    r"try again at (\w{3})\w* (\d{1,2})(?:st|nd|rd|th)?, (\d{4}),? (\d{1,2}):(\d\d) ?(AM|PM)",
    re.IGNORECASE,
)
_DELAY = re.compile(r"try again in (\d{1,9}(?:\.\d{1,9})?) ?(ms|s|seconds?|m|minutes?)\b", re.IGNORECASE)
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An account's limit was reached; `resets_at` None where the message does not say a whole point in time."""

    resets_at: datetime | None = None


def limit_in(error: str) -> Limit | None:
    """The limit that the text of an error tells of; None where it tells of something else."""
    text = error[:_LOOKED_AT]
    if not _LIMITED.search(text):
        return None
    return Limit(resets_at=_epoch(text) or _date(text) or _day(text))


def retry_in_s(error: str) -> float | None:
    """How long to wait before the next call, where the text of an error says so."""
    found = _DELAY.search(error[:_LOOKED_AT])
    if not found:
        return None
    unit = found[2].lower()
    return float(found[1]) * _UNIT_S[unit if unit == "ms" else unit[0]]


def _epoch(text: str) -> datetime | None:
    found = _EPOCH.search(text)
    return moment(float(found[1])) if found else None


def _date(text: str) -> datetime | None:
    found = _DATE.search(text)
    return _utc(*(int(part or 0) for part in found.groups())) if found else None


def _day(text: str) -> datetime | None:
    """As in ``Nov 30th, 2026 4:35 PM``."""
    found = _DAY.search(text)
    if not found or found[1].lower() not in _MONTHS:
        return None
    hour = int(found[4]) % 12 + (12 if found[6].lower() == "pm" else 0)
    return _utc(int(found[3]), _MONTHS.index(found[1].lower()) + 1, int(found[2]), hour, int(found[5]))


def _utc(year: int, month: int, day: int, hour: int, minute: int) -> datetime | None:
    try:
        return datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None
