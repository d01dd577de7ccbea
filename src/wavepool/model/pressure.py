"""How hard a host is pressed, and how many starts it gets because of that."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Pressure(NamedTuple):
    """One reading, all in percent; None for what this host does not tell.

    `cpu_stalled`, `memory_stalled` and `io_stalled` are the part of the time, since the reading before, in which some
    process waited for that and could not go on (Linux, PSI). `cpu_used` and `memory_used` are what is in use.
    """

    cpu_stalled: float | None = None
    memory_stalled: float | None = None
    io_stalled: float | None = None
    cpu_used: float | None = None
    memory_used: float | None = None


class PressureLevel(StrEnum):
    """`EASY`: more may start. `BUSY`: fewer at once. `FULL`: memory is short, nothing starts beside what runs."""

    EASY = "easy"
    BUSY = "busy"
    FULL = "full"
