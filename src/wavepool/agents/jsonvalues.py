"""Values out of JSON that somebody else wrote: the value where it is of the right type, else nothing. Never raises."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

COUNT_MAX = 10**15
_EARLIEST_S, _LATEST_S = 946_684_800, 7_258_118_400  # the years 2000 and 2200

Fields = Mapping[str, object]


def text(fields: Fields, name: str) -> str:
    """The text of that name; empty for anything else."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def count(fields: Fields, name: str) -> int:
    """A whole number from 0 to `COUNT_MAX`; 0 for anything else."""
    value = fields.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return min(value, COUNT_MAX) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def number(fields: Fields, name: str) -> float | None:
    """A finite number, at least 0; None for anything else."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= COUNT_MAX:
        return None
    return float(value)


def inner(fields: Fields, name: str) -> Fields:
    """The object of that name; an empty one for anything else."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def objects(value: object) -> Iterator[Fields]:
    """The objects of a list; none for anything else."""
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def texts(value: object) -> Iterator[str]:
    """The texts of a list; none for anything else."""
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, str))


def moment(seconds: float | None) -> datetime | None:
    """Seconds since 1970 (or milliseconds, where it is too many for seconds) as a time between 2000 and 2200."""
    if seconds is None or not math.isfinite(seconds):
        return None
    seconds = seconds / 1000 if seconds > _LATEST_S else seconds
    return datetime.fromtimestamp(seconds, UTC) if _EARLIEST_S <= seconds <= _LATEST_S else None
