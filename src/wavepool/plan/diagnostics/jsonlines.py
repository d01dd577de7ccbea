"""A JSON object in a line, and what the fields of an object may be trusted with."""

from __future__ import annotations

import json
from typing import Any, Final

from wavepool.plan.diagnostics.messages import tidy

NUMBER_MAX: Final = 10**9
"""No file has more lines, and no line more columns."""


def object_in(line: str) -> dict[str, Any] | None:
    """The object that the line is; None where it is none, or cut off."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def object_of(value: Any) -> dict[str, Any]:
    """The value if it is an object; else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str | None:
    """The value if it is a string that says something, without control characters; else None."""
    return tidy(value) or None if isinstance(value, str) else None


def number(value: Any) -> int | None:
    """The value if it is a whole number from 0 that counts lines or columns; else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < NUMBER_MAX else None
