"""The most memory that each container of this host used, from the counter that its cgroup keeps.

The counter goes with the container's last process, before any event tells of that. So it is read all along: often in a
container's first moments, then less and less often, so that what is missed is at most an eighth of its life or one
second. It only rises, so the last reading holds for all before.
"""

from __future__ import annotations

import heapq
import time
from pathlib import Path

import anyio
import anyio.lowlevel

from wavepool.drivers.docker.usage.reading import CGROUP_ROOT, PeakCounter

SOONEST_S, LATEST_S = 0.005, 1.0
"""Between two readings of one container: at first, and at last."""
SHARE = 0.125
"""Of its age, in between."""
UNBORN_S = 30.0
"""How long a container that was created is waited for, and one whose cgroup is nowhere is looked for."""
OPEN_MAX = 4096
"""Containers that are read at a time; of others no peak is known."""


class _Read:
    """One container. `since_s` is when it was first expected or started, on the monotonic clock."""

    __slots__ = ("counter", "peak_bytes", "since_s", "started")

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.started = False
        self.counter: PeakCounter | None = None
        self.peak_bytes: int | None = None


class Peaks:
    """Reads while `run` does; what was read of a container can be had until it is forgotten."""

    def __init__(self, *, root: Path = CGROUP_ROOT) -> None:
        self._root = root
        self._read: dict[str, _Read] = {}
        self._due: list[tuple[float, str]] = []
        self._wake = anyio.Event()

    def expect(self, container_id: str) -> None:
        """It was created and may start any moment, or it runs since nobody knows when."""
        if container_id not in self._read and len(self._read) < OPEN_MAX:
            self._read[container_id] = _Read(time.monotonic())
            self._put(0.0, container_id)

    def started(self, container_id: str) -> None:
        """It starts now."""
        self.expect(container_id)
        each = self._read.get(container_id)
        if each is not None and not each.started:
            each.started, each.since_s = True, time.monotonic()

    def ended(self, container_id: str) -> None:
        """There is nothing more to read; what was read stays. Safe to repeat."""
        each = self._read.get(container_id)
        if each is not None:
            self._close(each)
            each.since_s = float("-inf")

    def forget(self, container_id: str) -> None:
        """Nobody will ask for it any more. Safe to repeat."""
        each = self._read.pop(container_id, None)
        if each is not None:
            self._close(each)

    def peak_bytes(self, container_id: str) -> int | None:
        """The highest reading, None where there is none."""
        each = self._read.get(container_id)
        return each.peak_bytes if each is not None else None

    async def run(self) -> None:
        """Read until cancelled; then give the descriptors back."""
        try:
            while True:
                if not self._due:
                    await self._wake.wait()
                    self._wake = anyio.Event()
                    continue
                wait_s = self._due[0][0] - time.monotonic()
                if wait_s > 0:
                    with anyio.move_on_after(wait_s):
                        await self._wake.wait()
                        self._wake = anyio.Event()
                    continue
                self.look()
                await anyio.lowlevel.checkpoint()
        finally:
            for each in self._read.values():
                self._close(each)

    def look(self) -> None:
        """Read what is due."""
        now_s = time.monotonic()
        while self._due and self._due[0][0] <= now_s:
            _, container_id = heapq.heappop(self._due)
            each = self._read.get(container_id)
            if each is not None and self._take(container_id, each, now_s):
                age_s = now_s - each.since_s
                self._put(now_s + min(LATEST_S, max(SOONEST_S, age_s * SHARE)), container_id)

    def _take(self, container_id: str, each: _Read, now_s: float) -> bool:
        """One reading; False where none will follow."""
        try:
            if each.counter is None:
                each.counter = PeakCounter.find(container_id, root=self._root)
            if each.counter is None:
                return now_s - each.since_s < UNBORN_S
            each.peak_bytes = max(each.peak_bytes or 0, each.counter.read())
        except OSError:  # its cgroup is gone, or there is no descriptor left for it
            self._close(each)
            return False
        return True

    def _put(self, due_s: float, container_id: str) -> None:
        heapq.heappush(self._due, (due_s, container_id))
        self._wake.set()

    def _close(self, each: _Read) -> None:
        counter, each.counter = each.counter, None
        if counter is not None:
            counter.close()
