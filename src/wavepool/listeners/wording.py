"""Words for people. Ids, reasons and daemon messages come from outside: what could act on a terminal is escaped."""

from __future__ import annotations

from datetime import datetime


def printable(text: str, limit: int | None = None) -> str:
    """`text` on one line, with control, bidi and other unprintable characters as escapes.

    `limit` cuts it to that many characters, the last one an ellipsis.
    """
    if limit is not None:
        text = text[: limit + 1]  # an escape is longer than its character, never shorter
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    if limit is not None and len(shown) > limit:
        return shown[: limit - 1] + "…"
    return shown


def stamp(at: datetime) -> str:
    """ISO 8601 in UTC, to the second: ``2025-11-14T10:30:45Z``."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def count(number: int, noun: str) -> str:
    """``1 task``, ``28 tasks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
