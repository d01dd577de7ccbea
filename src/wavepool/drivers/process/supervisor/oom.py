"""Kills for memory, as a control group counts them."""

from __future__ import annotations

import os
import select
import time

from .kernel import read_text, write_control

OOM_SETTLE_S, OOM_SETTLE_STEP_S = 0.5, 0.05
"""The v1 notice comes before the kill: read the counter again for this long, this often."""


CLOCK_CHECK_S = 0.25
"""How often the OOM counter is read where the kernel cannot tell of its changes."""


class OomCounter:
    """Counts kills for memory in the task's cgroup, and when the last one was seen."""

    def __init__(self, path: str | None, event_control: str | None) -> None:
        self._path = path
        self.kills: int | None = None
        self.seen_at: float | None = None
        self._settling_until = 0.0
        self.fd = -1
        self.events: int = select.POLLIN
        if path is not None:
            self._subscribe(path, event_control)
            self.read()

    def _subscribe(self, path: str, event_control: str | None) -> None:
        """v1: an eventfd; v2: the counter's own file wakes poll(2). Where neither works, a slow clock does."""
        try:
            self._file = os.open(path, os.O_RDONLY)
            if event_control is None:
                self.fd, self.events = self._file, select.POLLPRI
            else:
                self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                write_control(event_control, f"{self.fd} {self._file}")
        except OSError:
            self.fd = -1

    def notice(self) -> None:
        if self.events == select.POLLIN:
            os.read(self.fd, 8)
        else:  # v2 wakes again and again until this very descriptor has been read
            os.pread(self._file, 4096, 0)
        self._settling_until = time.monotonic() + OOM_SETTLE_S
        self.read()

    def read(self) -> None:
        for line in ((self._path and read_text(self._path)) or "").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                if self.kills is not None and int(value) > self.kills:
                    self.seen_at = time.monotonic()
                self.kills = int(value)

    def wait_s(self) -> float | None:
        """How long until the counter should be read without being asked to; None for never."""
        if self._path is None:
            return None
        if self.fd < 0:
            return CLOCK_CHECK_S
        return OOM_SETTLE_STEP_S if time.monotonic() < self._settling_until else None
