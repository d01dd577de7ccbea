"""Keeps the documents true: follows runs, asks sources, and opens drivers, until it is closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import structlog
from anyio import CapacityLimiter
from anyio.abc import TaskGroup

from wavepool.drivers.base import Driver
from wavepool.engine.clock import Clock, SystemClock
from wavepool.engine.naming import UnknownTask
from wavepool.errors import WavepoolError, shorten
from wavepool.monitoring.documents.runs import RunDocument, RunLine, TaskEntry
from wavepool.monitoring.drivers import OpenDrivers
from wavepool.monitoring.overview import OverviewChannel
from wavepool.monitoring.runs.catalogue import RunCatalogue
from wavepool.monitoring.runs.document import RunChannel
from wavepool.monitoring.runs.opened import OpenedRuns, Wanted
from wavepool.monitoring.runs.spawned import SpawnedRuns
from wavepool.monitoring.runs.voices import Voices
from wavepool.monitoring.sources.base import Source
from wavepool.monitoring.sources.host import HostSource
from wavepool.monitoring.sources.pools import PoolServerSource, PoolsSource, ServerStatus
from wavepool.monitoring.usage.readings import UsageBook
from wavepool.monitoring.usage.sweeps import Sweeps
from wavepool.statedir import StateDir

FOLLOW_S = 0.2
"""Between two looks into the journals of live runs."""

LOOK_S = 1.0
"""Between two looks for runs that began, ended, or went away."""

SPAWNED_S = 5.0
"""Between two looks at containers of `wavepool spawn`."""

LOOK_SHARE = 20
"""A look that took long is followed by a pause of so many times its length."""

PATIENCE_S = 10.0
"""For one reading of a source; after that it counts as failed, until the next."""

BROKEN_S = 5.0
"""Before something is tried again that failed in a way that nobody foresaw."""

THREADS = 4
"""That read files at once."""

_log = structlog.get_logger(__name__)


class Monitor:
    """All that is shown of one state directory. Use it as an async context manager, on the loop that uses it.

    Args:
        state_dir: the directory; need not exist yet.
        sources: of the overview's members, beside runs, host and pools.
        clock: of this host.
    """

    def __init__(self, state_dir: Path, *, sources: Iterable[Source] = (), clock: Clock | None = None) -> None:
        self.state_dir = StateDir(state_dir)
        self._clock = clock or SystemClock()
        self._threads = CapacityLimiter(THREADS)
        self._usage = UsageBook()
        host = HostSource(self.state_dir.path, self._usage.together)
        status = ServerStatus(self.state_dir.server())
        self._sources: tuple[Source, ...] = (host, PoolsSource(status), PoolServerSource(status), *sources)
        self._overview = OverviewChannel(self._clock, host.history)
        self._catalogue = RunCatalogue(self.state_dir, self._clock, self._threads)
        self._spawned = SpawnedRuns(self.state_dir, self.driver, self._clock)
        self._opened = OpenedRuns(
            self.state_dir, self._clock, self._threads, self._usage, lambda run_id: self._spawned.folds.get(run_id)
        )
        self._sweeps = Sweeps(
            running=lambda: [*self._catalogue.running(), *self._spawned.running()],
            open_driver=self.driver,
            book=self._usage,
            problem=self._overview.put_problem,
            clock=self._clock,
        )
        self._drivers = OpenDrivers(self.state_dir)
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        group = await self._group.__aenter__()
        again = self._again_and_again
        group.start_soon(partial(again, "runs", self._look, self._look_pause_s, patience_s=None))
        group.start_soon(partial(again, "journals", self._follow, lambda: FOLLOW_S, patience_s=None))
        group.start_soon(partial(again, "old runs", self._fold_next, lambda: 0.0, patience_s=None))
        group.start_soon(again, "spawned", self._look_at_spawned, lambda: SPAWNED_S if self._spawned.folds else LOOK_S)
        group.start_soon(self._sweeps.run)
        group.start_soon(Voices(self._opened.viewed, self.driver).run)
        for source in self._sources:
            group.start_soon(again, source.name, partial(self._ask, source), partial(getattr, source, "period_s"))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._group is not None, "it was entered"
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)  # what the block raised is its own, in no group

    @property
    def overview(self) -> OverviewChannel:
        """The channel ``overview``."""
        return self._overview

    # -- runs --

    async def open_run(self, run_id: str) -> RunChannel:
        """The channel of a run, the same for all who open it; followed until as many have closed it.

        Raises:
            UnknownRun: there is no such run.
        """
        return await self._opened.open(run_id)

    def close_run(self, run_id: str) -> None:
        """One who opened it does not look any more."""
        self._opened.close(run_id)

    async def run_document(self, run_id: str) -> RunDocument:
        """A run, whole, as it is now. Raises UnknownRun."""
        return (await self._opened.visit(run_id)).whole()

    async def tasks(
        self,
        run_id: str,
        *,
        states: Collection[str] = (),
        wave: int | None = None,
        cause: str = "",
        text: str = "",
        offset: int = 0,
        limit: int = 100,
    ) -> tuple[int, list[TaskEntry]]:
        """Tasks in the plan's order that are in one of `states` (in any, where none is named), of this wave, in this
        group of failures, and have `text` in id, key, agent or image, whatever its case: how many there are, and
        `limit` of them after the first `offset`.

        Raises:
            UnknownRun: there is no such run.
        """
        channel = await self._opened.visit(run_id)
        wanted = Wanted(states=frozenset(states), wave=wave, cause=cause, text=text.casefold())
        return await self._opened.tasks(channel, wanted, offset, limit)

    async def task(self, run_id: str, key: str) -> TaskEntry:
        """One task with the history of what it used.

        Raises:
            UnknownRun: there is no such run.
            UnknownTask: it has no task of that key.
        """
        channel = await self._opened.visit(run_id)
        task_id = channel.run.fold.by_key(key)
        if task_id is None:
            raise UnknownTask(f"run {run_id} has no task {shorten(key)}", advice="Tasks are found by their `key`.")
        entry = channel.entry(task_id)
        history = channel.usage.history(task_id)
        if history is not None:
            entry["history"] = history
        return entry

    async def runs(self, *, states: Collection[str] = (), offset: int = 0, limit: int | None = None) -> list[RunLine]:
        """Lines of the runs that are in one of `states` (in any, where none is named), those that somebody worked on
        last first: `limit` of them after the first `offset`.

        Raises:
            InfrastructureError: the state directory cannot be read.
        """
        return await self._catalogue.lines(frozenset(states), offset, limit)

    async def driver(self, name: str) -> Driver:
        """The driver of this name as journals have it, open and shared; the monitor closes it.

        Raises:
            DriverUnavailable: there is none of that name, or it cannot be reached.
        """
        assert self._group is not None, "it was entered"
        return await self._drivers.named(name, self._group)

    # -- what goes on meanwhile --

    async def _look(self) -> None:
        await self._catalogue.look()
        await self._opened.look()
        self._usage.keep({*self._catalogue.live, *self._opened.ids, *self._spawned.folds})
        self._put_runs()

    def _look_pause_s(self) -> float:
        return max(LOOK_S, self._catalogue.look_took_s * LOOK_SHARE)

    async def _follow(self) -> None:
        await self._opened.follow()
        if await self._catalogue.follow():
            self._put_runs()

    async def _fold_next(self) -> None:
        await self._catalogue.fold_next()
        self._put_runs()

    async def _look_at_spawned(self) -> None:
        await self._spawned.look(self._catalogue.spawned())
        self._catalogue.put_spawned(self._spawned.folds)

    def _put_runs(self) -> None:
        self._overview.put_runs(*self._catalogue.shown())

    async def _ask(self, source: Source) -> None:
        self._overview.put(source.name, await source.read())

    async def _again_and_again(
        self,
        name: str,
        do: Callable[[], Awaitable[None]],
        pause_s: Callable[[], float],
        *,
        patience_s: float | None = PATIENCE_S,
    ) -> None:
        """What fails, or hangs for longer than `patience_s`, is the problem of that name until it succeeds."""
        while True:
            try:
                with anyio.fail_after(patience_s):
                    await do()
                self._overview.put_problem(name, None)
            except TimeoutError:
                self._overview.put_problem(name, f"no answer within {patience_s:g} s")
            except WavepoolError as error:
                self._overview.put_problem(name, error.message)
            except Exception as error:  # one that is broken must not take the others with it
                _log.exception("something that is shown could not be read", name=name)
                self._overview.put_problem(name, f"{type(error).__name__}: {error}")
                await anyio.sleep(BROKEN_S)
            await anyio.sleep(pause_s())
