"""Where in a file something is, as tools write it. Pure."""

from __future__ import annotations

_DIGITS_MAX = 9


def number(digits: str | None) -> int | None:
    """A line or column; None for none, for 0 (some tools' word for "of the whole file"), and for what can be neither.

    Args: `digits`: what ``\\d*`` has matched.
    """
    return int(digits) or None if digits and len(digits) <= _DIGITS_MAX else None


def from_one(value: object) -> int | None:
    """The value of a document if it can be a line or column that counts from 1; else None."""
    return value if isinstance(value, int) and 0 < value < 10**_DIGITS_MAX else None
