"""Both clocks: the boot clock for deadlines, UTC for people."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from pathlib import Path

from wavepool.core.events import Now

MAX_WAIT_S = 30.0
"""The event loop waits on CLOCK_MONOTONIC, which stands still while the machine is suspended; so waits are short."""


class Clock(ABC):
    """Tells the time, and waits for it."""

    @property
    @abstractmethod
    def boot_id(self) -> str:
        """Changes when the boot clock begins anew."""

    @abstractmethod
    def now(self) -> Now:
        """One reading of both clocks."""

    def wait_s(self, deadline_s: float | None) -> float:
        """How long to wait for `deadline_s` before looking again: at least 0, at most `MAX_WAIT_S`."""
        if deadline_s is None:
            return MAX_WAIT_S
        return min(MAX_WAIT_S, max(0.0, deadline_s - self.now().boot_s))


class SystemClock(Clock):
    """The machine's own: CLOCK_BOOTTIME where there is one, and the kernel's boot id."""

    def __init__(self) -> None:
        self._clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        try:
            self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            self._boot_id = "unknown"

    @property
    def boot_id(self) -> str:
        return self._boot_id

    def now(self) -> Now:
        return Now(time.clock_gettime(self._clock), datetime.now(UTC))
