"""The streams of the memory driver: states of containers, and output; with the flaws that real streams have."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from itertools import count

from wavepool.drivers.base import LogChunk, Observation, Phase, Scope, Synced
from wavepool.drivers.memory.containers import Container, in_scope, lost
from wavepool.drivers.memory.hazards import Fault
from wavepool.drivers.memory.world import MemoryWorld
from wavepool.errors import DriverUnavailable

QUEUE_MAX = 100_000
"""Changes that wait for a slow reader; at this bound they are dropped and all states are told again."""

GAP_S = 2.0
"""The longest time that a cut stream stays away."""

LATE_S = 0.3
"""How late a reordered change may come."""

RESYNC_S = 1.5
"""After a lost or late change, all states are told again within this time."""


class StateStream(AsyncIterator[Observation | Synced]):
    """One watch. Changes are queued when they happen; `_told` are those whose last told state has no ending."""

    def __init__(self, world: MemoryWorld, scope: Scope) -> None:
        self._world = world
        self._scope = scope
        self._subject = f"{scope.owner}/{scope.run_id}/{scope.wave}"
        self._queue: list[tuple[float, int, Observation | Synced | DriverUnavailable]] = []
        self._order = count()
        self._told: dict[str, Observation] = {}
        self._deaf_until_s = float("-inf")
        self._tell_all()

    async def __anext__(self) -> Observation | Synced:
        self._world.advance()
        while not self._queue or self._queue[0][0] > self._world.time_s:
            await self._world.wait()
        item = heapq.heappop(self._queue)[2]
        if isinstance(item, DriverUnavailable):
            raise item
        return item

    def changed(self, container: Container) -> None:
        """A container changed now: queue its state, unless the stream is in one of its bad moments."""
        if not in_scope(container.spec, self._scope):
            return
        strikes, subject = self._world.hazards.strikes, f"{self._subject}/{container.key}/{container.phase}"
        if self._world.time_s < self._deaf_until_s:
            if container.phase is Phase.EXITED and container.exists and strikes(Fault.EXIT_LOST_IN_GAP, subject):
                container.ending = lost("it ended while the engine was away")
        elif strikes(Fault.WATCH_GIVES_UP, subject):
            self._put(0.0, DriverUnavailable("the engine stayed away", advice="Start it again."))
        elif strikes(Fault.STREAM_CUT, subject):
            self._cut(GAP_S * self._world.hazards.fraction(Fault.STREAM_CUT, subject))
        elif strikes(Fault.EVENT_LOST, subject):
            self._tell_all_after(RESYNC_S)
        elif strikes(Fault.EVENT_LATE, subject):
            self._tell(container, LATE_S * self._world.hazards.fraction(Fault.EVENT_LATE, subject))
            self._tell_all_after(RESYNC_S)
        else:
            self._tell(container, 0.0)
            if strikes(Fault.EVENT_DOUBLED, subject):
                self._tell(container, 0.0)

    def _cut(self, gap_s: float) -> None:
        self._deaf_until_s = self._world.time_s + gap_s
        self._tell_all_after(gap_s)

    def _tell_all_after(self, delay_s: float) -> None:
        self._world.at(self._world.time_s + delay_s, self._tell_all)

    def _tell_all(self) -> None:
        existing = self._world.within(self._scope)
        for container in existing:
            self._tell(container, 0.0)
        for gone in set(self._told) - {container.id for container in existing}:
            self._tell_gone(gone)
        self._put(0.0, Synced(present=frozenset((each.spec.run_id, each.spec.attempt) for each in existing)))
        self._world.wake()

    def _tell(self, container: Container, delay_s: float) -> None:
        if len(self._queue) >= QUEUE_MAX:
            self._queue.clear()
            self._tell_all_after(0.0)
            return
        if container.exists:
            told = _observation(self._world, container)
            if told.ending is None:
                self._told[container.id] = told
            else:
                self._told.pop(container.id, None)
            self._put(delay_s, told)
        elif container.id in self._told:
            self._tell_gone(container.id, delay_s)

    def _tell_gone(self, container_id: str, delay_s: float = 0.0) -> None:
        """What was parked and never claimed is nobody's loss."""
        told = self._told.pop(container_id)
        if container_id not in self._world.never_claimed:
            self._put(delay_s, _gone(told))

    def _put(self, delay_s: float, item: Observation | Synced | DriverUnavailable) -> None:
        due_s = self._world.time_s + delay_s
        heapq.heappush(self._queue, (due_s, next(self._order), item))
        if delay_s > 0:
            self._world.at(due_s, self._world.wake)


class OutputStream(AsyncIterator[LogChunk]):
    """The output of one container from its start (or `since`) to its end, or without `follow` to now."""

    def __init__(
        self, world: MemoryWorld, container: Container, since: datetime | None, *, follow: bool = True
    ) -> None:
        self._world = world
        self._container = container
        self._since = since
        self._follow = follow
        self._next = 0
        self._gap = world.hazards.strikes(Fault.LOG_GAP, container.key)

    async def __anext__(self) -> LogChunk:
        while True:
            self._world.advance()
            while self._next < len(self._container.output):
                time_s, chunk = self._container.output[self._next]
                self._next += 1
                if self._since is None or self._world.wall(time_s) >= self._since:
                    return self._torn(chunk)
            if not self._follow or self._container.has_ended:
                raise StopAsyncIteration
            await self._world.wait()

    def _torn(self, chunk: LogChunk) -> LogChunk:
        if not self._gap:
            return chunk
        self._gap = False
        return replace(chunk, data=chunk.data[len(chunk.data) // 2 :], gap=True)


def _observation(world: MemoryWorld, container: Container) -> Observation:
    return Observation(
        handle=container.handle,
        run_id=container.spec.run_id,
        wave=container.spec.wave,
        phase=container.phase,
        started_at=None if container.started_s is None else world.wall(container.started_s),
        ending=container.ending,
        labels=container.spec.labels,
    )


def _gone(told: Observation) -> Observation:
    return replace(told, phase=Phase.GONE, ending=lost("it was removed by somebody else, or lost with its engine"))
