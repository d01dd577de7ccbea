"""Memory kills in the first moments of a container's life, read from its cgroup.

The engine begins to listen for memory kills only after the first process runs, and on a busy host it hears of one in
the first 50 ms late or never (API 1.41, cgroup v1: 2 of 24 with four starts at once). Between such a kill and the end
of the cgroup lie about 20 ms, so the counter is looked at every 5 ms while a container is young, then never again.
Both versions of control groups have such a counter (`oom_kill`, in memory.oom_control and memory.events).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import anyio

from wavepool.drivers.docker.usage.reading import CGROUP_ROOT, OomCounter

LOOK_EVERY_S = 0.005
YOUNG_S = 0.5
"""From the start on."""
UNBORN_S = 30.0
"""From the creation on, for one that does not start."""


class Births:
    """Watches over young containers; `run` does the work for as long as there are any.

    Args:
        killed: called with a container's id and how many of its processes were killed for memory so far, each time that
            this has risen: a child's kill may be followed by that of the main process.
    """

    def __init__(self, killed: Callable[[str, int], None], *, root: Path = CGROUP_ROOT) -> None:
        self._killed = killed
        self._root = root
        self._until: dict[str, float] = {}
        self._counters: dict[str, OomCounter] = {}
        self._told: dict[str, int] = {}
        self._wake = anyio.Event()

    def expect(self, container_id: str) -> None:
        """It was created and may start any moment."""
        self._until[container_id] = time.monotonic() + UNBORN_S
        self._wake.set()

    def started(self, container_id: str) -> None:
        self._until[container_id] = time.monotonic() + YOUNG_S
        self._wake.set()

    def forget(self, container_id: str) -> None:
        """It ended, or is old enough. Safe to repeat."""
        self._until.pop(container_id, None)
        self._told.pop(container_id, None)
        counter = self._counters.pop(container_id, None)
        if counter is not None:
            counter.close()

    async def run(self) -> None:
        """Look until cancelled; then give the descriptors back."""
        try:
            while True:
                await self._wake.wait()
                self._wake = anyio.Event()
                while self._until:
                    self.look()
                    await anyio.sleep(LOOK_EVERY_S)
        finally:
            for container_id in list(self._until):
                self.forget(container_id)

    def look(self) -> None:
        """One look at each young container."""
        now = time.monotonic()
        for container_id, until in list(self._until.items()):
            try:
                kills = self._count(container_id)
            except OSError:  # its cgroup is gone, or there is no descriptor left for it
                self.forget(container_id)
                continue
            if kills > self._told.get(container_id, 0):
                self._told[container_id] = kills
                self._killed(container_id, kills)
            if now > until:
                self.forget(container_id)

    def _count(self, container_id: str) -> int:
        counter = self._counters.get(container_id)
        if counter is None:
            counter = OomCounter.find(container_id, root=self._root)
            if counter is None:
                return 0
            self._counters[container_id] = counter
        return counter.read()
