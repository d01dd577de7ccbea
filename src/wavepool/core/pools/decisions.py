"""What a pool wants done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """Why a container goes: unused for long, too old, ill, one too many, or it ran as many tasks as one may."""

    IDLE = "idle"
    OLD = "old"
    UNHEALTHY = "unhealthy"
    SCALED_DOWN = "scaled down"
    USED_UP = "used up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Make one more: tell `begin_park`, and then `parked` or `park_failed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Remove this one. The book has forgotten it already: it is handed out no more, and nothing is to be told of it."""

    key: str
    why: Why


Decision = Park | Retire
