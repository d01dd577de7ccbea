"""How many starts may be under way at once, by the pressure on the host. Pure: a reading in, the next state out.

As TCP finds out how much a network takes (RFC 5681: slow start, congestion avoidance): doubled with each calm reading
up to half of what was too much last time, from there on one more; halved with each pressed reading. Additive increase
with multiplicative decrease is what comes to a fair share where several do it side by side, as runs on one host do
(Chiu and Jain, Analysis of the Increase and Decrease Algorithms for Congestion Avoidance, 1989). What was not used up
is no proof that more is bearable, and raises nothing (RFC 7661). Between calm and pressed nothing changes.
"""

from __future__ import annotations

from typing import NamedTuple

from wavepool.model import Pressure, PressureLevel

FIRST = 5
"""Before the first reading, and where there is none: the seed's fixed number."""


class Band(NamedTuple):
    """Percent: pressed from `pressed` on, calm below `calm`."""

    pressed: float
    calm: float


CPU_STALLED = Band(60, 30)
IO_STALLED = Band(60, 30)
MEMORY_STALLED = Band(15, 5)
"""15% is the kernel documentation's own example of what is worth being woken for: 150 ms within a second."""
MEMORY_USED = Band(95, 90)
"""Where stalls are told: they come late, when the last pages are fought for."""
CPU_USED_ALONE = Band(80, 65)
MEMORY_USED_ALONE = Band(85, 80)
"""Where nothing else is told: the seed's thresholds."""


class Ramp(NamedTuple):
    """`allowed` starts may be under way at once, at least 1; below `doubles_to` it doubles, above it grows by one."""

    allowed: int
    doubles_to: int
    level: PressureLevel = PressureLevel.EASY


class Cause(NamedTuple):
    """What a reading means: the level, and why, for a person; empty where it is easy."""

    level: PressureLevel
    why: str


def first_ramp(most: int) -> Ramp:
    """Where a process begins; `most` is the user's bound, at least 1."""
    return Ramp(min(FIRST, most), most)


def next_ramp(ramp: Ramp, reading: Pressure | None, *, most: int, used_up: bool) -> tuple[Ramp, str]:
    """The next state, and why, for a person.

    Args:
        reading: None where the host cannot be read: then what one begins with holds again.
        most: the user's bound.
        used_up: as many starts as are allowed are under way.
    """
    if reading is None:
        return first_ramp(most), "this host cannot be read"
    level, why = level_of(reading, ramp.level)
    if level is PressureLevel.FULL:
        return _full(ramp), why
    if level is PressureLevel.BUSY:
        return _busy(ramp, reading), why
    return _easy(ramp, reading, most, used_up), ""


def level_of(reading: Pressure, before: PressureLevel) -> Cause:
    """What the host is in. One that was pressed stays so until all of that resource is calm."""
    full = _crossed(_memory(reading), entered=before is PressureLevel.FULL)
    if full:
        return Cause(PressureLevel.FULL, full)
    busy = _crossed(_others(reading), entered=before is not PressureLevel.EASY)
    return Cause(PressureLevel.BUSY, busy) if busy else Cause(PressureLevel.EASY, "")


Signals = list[tuple[str, float | None, Band]]


def _memory(reading: Pressure) -> Signals:
    told = reading.memory_stalled is not None
    return [
        ("tasks waited for memory {:.0f}% of the time", reading.memory_stalled, MEMORY_STALLED),
        ("{:.0f}% of the memory is in use", reading.memory_used, MEMORY_USED if told else MEMORY_USED_ALONE),
    ]


def _others(reading: Pressure) -> Signals:
    told = reading.cpu_stalled is not None
    return [
        ("tasks waited for a CPU {:.0f}% of the time", reading.cpu_stalled, CPU_STALLED),
        ("tasks waited for a disk {:.0f}% of the time", reading.io_stalled, IO_STALLED),
        ("{:.0f}% of the CPUs is in use", None if told else reading.cpu_used, CPU_USED_ALONE),
    ]


def _crossed(signals: Signals, *, entered: bool) -> str:
    """Why it is pressed, or not calm yet after it was; empty where neither."""
    for words, value, band in signals:
        if value is not None and value >= (band.calm if entered else band.pressed):
            return words.format(value)
    return ""


def _full(ramp: Ramp) -> Ramp:
    """Afterwards it begins with one, as TCP does when nothing comes through any more."""
    if ramp.level is PressureLevel.FULL:
        return ramp
    return Ramp(1, max(2, ramp.allowed // 2), PressureLevel.FULL)


def _busy(ramp: Ramp, reading: Pressure) -> Ramp:
    """Halved while it is pressed; where it only is not calm yet, what was reached is kept."""
    if ramp.level is PressureLevel.BUSY and not _crossed(_others(reading), entered=False):
        return ramp
    halved = max(1, ramp.allowed // 2)
    doubles_to = max(2, halved) if ramp.level is PressureLevel.EASY else ramp.doubles_to
    return Ramp(halved, doubles_to, PressureLevel.BUSY)


def _easy(ramp: Ramp, reading: Pressure, most: int, used_up: bool) -> Ramp:
    if not used_up or _crossed(_others(reading), entered=True):  # neither pressed nor calm
        return ramp._replace(level=PressureLevel.EASY)
    grown = min(ramp.allowed * 2, ramp.doubles_to) if ramp.allowed < ramp.doubles_to else ramp.allowed + 1
    return Ramp(min(grown, most), ramp.doubles_to, PressureLevel.EASY)
