"""One watch for all containers of a session: how each ended, and what each writes."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import structlog
from anyio.abc import TaskStatus

from wavepool.drivers.base import Driver, LogChunk, Observation, Scope, Synced
from wavepool.drivers.parking import SupportsParking
from wavepool.engine.pools.containers import Container
from wavepool.engine.pools.verdicts import lost
from wavepool.errors import InfrastructureError, NoSuchAttempt
from wavepool.model import AttemptId

FIRST_PAUSE_S = 0.2
LAST_PAUSE_S = 5.0
"""Before a watch or a log is opened again; doubled from the first to the last."""

SETTLED_S = 5.0
"""A container that has run for so long is in the engine's list, so that one that is missing there is gone."""

LOG_TRIES = 4
"""How often the log of a container that has ended is opened again, before its rest is given up."""

NO_LOG = "its log could not be read to its end"

_log = structlog.get_logger(__name__)


class _Once:
    """Tells whoever started a task that it has begun; once."""

    def __init__(self, task_status: TaskStatus[None]) -> None:
        self._status: TaskStatus[None] | None = task_status

    def tell(self) -> None:
        if self._status is not None:
            self._status.started()
            self._status = None


class PoolWatch:
    """Knows of every container that is somebody's; what it hears of others it forgets.

    Args:
        driver: open.
        scope: the session.
        synced: called when all that exists was told: at first, and after each outage of the engine.
    """

    def __init__(self, driver: Driver, scope: Scope, synced: Callable[[], None]) -> None:
        self._driver = driver
        self._synced = synced
        self._scope = scope
        self._containers: dict[AttemptId, Container] = {}
        self._changed = anyio.Event()

    def expect(self, container: Container) -> None:
        """Its ending is wanted. Call it before the container is made."""
        self._containers[container.spec.attempt] = container

    def forget(self, container: Container) -> None:
        """Nothing about it is wanted any more."""
        self._containers.pop(container.spec.attempt, None)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled; through every outage of the engine. Started once a first watch has told all."""
        pause_s, opened = FIRST_PAUSE_S, _Once(task_status)
        while True:
            try:
                async with self._driver.watch(self._scope) as seen:
                    async for item in seen:
                        pause_s = FIRST_PAUSE_S
                        if isinstance(item, Observation):
                            self._take(item)
                        else:
                            self._take_stock(item)
                            self._synced()
                            opened.tell()
            except InfrastructureError as error:
                _log.warning("the pool's watch ended; it is opened again", problem=str(error))
            await anyio.sleep(pause_s)
            pause_s = min(LAST_PAUSE_S, 2 * pause_s)

    def _take(self, seen: Observation) -> None:
        container = self._containers.get(seen.handle.attempt)
        if container is not None and seen.ending is not None:
            container.end(seen.ending)

    def _take_stock(self, synced: Synced) -> None:
        """Whoever runs a task and is not there any more is gone; one that is parked is told by its log."""
        now_s = anyio.current_time()
        there = {attempt for _, attempt in synced.present}
        for attempt, container in self._containers.items():
            if container.ran and now_s - container.since_s > SETTLED_S and attempt not in there:
                container.end(lost("it was removed by somebody else, or lost with its engine"))


class LogFollower:
    """Reads the output of containers as it is written.

    Args:
        silent: told of each container whose log has ended.
    """

    def __init__(self, driver: Driver, silent: Callable[[Container], None]) -> None:
        self._driver = driver
        self._silent = silent

    async def follow(self, container: Container, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Read it to its end, through cuts. Started once it is open, or cannot be opened."""
        opened = _Once(task_status)
        with container.follow:
            pause_s, tries = FIRST_PAUSE_S, 0
            while not await self._read(container, opened):
                opened.tell()
                if self._is_over(container, tries):
                    break
                tries += 1 if container.ending is not None else 0
                await anyio.sleep(pause_s)
                pause_s = min(LAST_PAUSE_S, 2 * pause_s)
        container.output.closed.set()
        opened.tell()
        if not container.follow.cancel_called:
            self._silent(container)

    async def _read(self, container: Container, opened: _Once) -> bool:
        """True where its end was reached, or will never be."""
        assert container.handle is not None, "it is followed before it exists"
        try:
            async with self._driver.logs(container.handle) as chunks:
                container.output.reopened()
                opened.tell()
                async for chunk in chunks:
                    _take(container, chunk)
        except NoSuchAttempt:
            if container.claimed:
                container.output.miss("nothing was left of it to read its log from")
        except InfrastructureError as error:
            _log.warning("a log was cut off", container=container.spec.name, problem=str(error))
            return False
        return True

    def _is_over(self, container: Container, tries: int) -> bool:
        """Whether a log that was cut off is not read any further."""
        if container.claimed:
            if container.ending is None or tries < LOG_TRIES:
                return False
            container.output.miss(NO_LOG)
            return True
        driver, handle = self._driver, container.handle
        return not (isinstance(driver, SupportsParking) and handle is not None and driver.is_parked(handle))


def _take(container: Container, chunk: LogChunk) -> None:
    reason = (chunk.gap_reason or "more was written than its log keeps") if chunk.gap else ""
    container.output.take(chunk.stream, chunk.data, reason)
