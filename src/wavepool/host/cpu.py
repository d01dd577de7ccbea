"""How busy the CPUs were since one last looked. psutil's own memory of that is one per thread, so we keep ours."""

from __future__ import annotations

import os
from typing import Any

import psutil

TICKS_MIN_S = 0.02
"""The kernel counts in hundredths of a second: over less CPU time than this a percentage is a guess."""


class CpuMeter:
    """Counts from when it was made."""

    def __init__(self) -> None:
        self._total_s, self._idle_s = _times()
        self._last = 0.0

    def read(self) -> float:
        """Percent of all cores together that were in use since the reading before; the same again where none passed."""
        total_s, idle_s = _times()
        passed_s = total_s - self._total_s
        if passed_s >= TICKS_MIN_S:
            self._last = min(100.0, max(0.0, 100.0 * (1 - (idle_s - self._idle_s) / passed_s)))
            self._total_s, self._idle_s = total_s, idle_s
        return self._last


def usable_cores() -> int:
    """Cores that this process may run on; all of the host where that is not told."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # no Linux
        return os.cpu_count() or 1


def _times() -> tuple[float, float]:
    """Seconds in all, and idle ones; waiting for a disk is idle. Time of guests is part of ``user`` already."""
    times: Any = psutil.cpu_times()
    guests_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return sum(times) - guests_s, times.idle + getattr(times, "iowait", 0.0)
