"""A look at tasks that run, for whoever did not ask for them: what they use and write, by names that callers gave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager

from wavepool.drivers.base import Driver, LogChunk, Usage
from wavepool.engine.pools.results import Where
from wavepool.engine.pools.tasks import TaskRun
from wavepool.errors import NoSuchAttempt


class Looking:
    """Asks the driver about the containers of tasks; it keeps nothing.

    Args:
        driver: open.
        runs: the tasks that have a container, at the moment of the call.
    """

    def __init__(self, driver: Driver, runs: Callable[[], Iterable[TaskRun]]) -> None:
        self._driver = driver
        self._runs = runs

    async def usage(self, names: Collection[str]) -> Mapping[str, Usage]:
        """One reading of each of these that runs.

        Raises:
            DriverUnavailable: the engine is away.
        """
        wanted = frozenset(names)
        running = {run.name: run for run in self._runs() if run.name and run.name in wanted and run.runs_now}
        handles = {name: handle for name, run in running.items() if (handle := run.progress.container.handle)}
        found = await self._driver.usage(handles.values()) if handles else {}
        return {name: found[handle] for name, handle in handles.items() if handle in found}

    @asynccontextmanager
    async def output(self, name: str, *, follow: bool) -> AsyncIterator[AsyncIterator[LogChunk]]:
        """All that it has written, from its start; with `follow` to its end.

        Raises:
            NoSuchAttempt: no task of that name runs, or none that it could be read of.
            DriverUnavailable: the engine is away.
        """
        run = next((each for each in self._runs() if each.name == name and name), None)
        if run is None:
            raise NoSuchAttempt(f"{name}: no task of that name is in a pool (any more)")
        handle = run.progress.container.handle
        if handle is None or not run.runs_now:
            raise NoSuchAttempt(f"{name}: it has not begun yet")
        if run.progress.where is Where.REUSED:
            raise NoSuchAttempt(f"{name}: in a reused container what is written goes to who asked for it alone")
        async with self._driver.logs(handle, follow=follow) as chunks:
            yield chunks
