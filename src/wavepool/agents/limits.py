"""What agents say when an account has no more to give, and when it will. For errors only, never for a model's words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from wavepool.agents.jsonvalues import moment

_LOOKED_AT = 4000
_LIMITED = re.compile(
    r"usage limit reached|hit your (?:[\w.-]+ ){0,3}limit|limit reached (?:[∙·|]|for )"
    r"|rate[ _]limit(?:ed|_error| reached| exceeded)"
    r"|exceed your (?:account|organization)'s (?:\w+ )?rate limit|\b429\b|too many requests"
    r"|reached your specified (?:\w+ )?usage limits?|out of extra usage",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"limit reached\|(\d{9,13})\b", re.IGNORECASE)
_DATE = re.compile(r"regain access on (\d{4})-(\d\d)-(\d\d)(?: at (\d\d):(\d\d))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An account's limit was reached; `resets_at` None where the message does not say a whole point in time."""

    resets_at: datetime | None = None


def limit_in(error: str) -> Limit | None:
    """The limit that the text of an error tells of; None where it tells of something else."""
    text = error[:_LOOKED_AT]
    if not _LIMITED.search(text):
        return None
    return Limit(resets_at=_epoch(text) or _date(text))


def _epoch(text: str) -> datetime | None:
    found = _EPOCH.search(text)
    return moment(float(found[1])) if found else None


def _date(text: str) -> datetime | None:
    found = _DATE.search(text)
    if not found:
        return None
    year, month, day, hour, minute = (int(part or 0) for part in found.groups())
    try:
        return datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None
