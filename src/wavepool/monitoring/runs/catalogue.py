"""All runs of a state directory as lines: those that are live are followed, the others are folded once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import anyio
from anyio import CapacityLimiter

from wavepool.engine.clock import Clock
from wavepool.engine.history.runs import RunHistory, Standing, standing_of
from wavepool.engine.pools.session import SESSION_PREFIX
from wavepool.errors import InfrastructureError
from wavepool.listeners.progress import Progress
from wavepool.monitoring.documents.runs import RunLine
from wavepool.monitoring.overview import RUNS_SHOWN
from wavepool.monitoring.runs.folds import RunFold
from wavepool.monitoring.runs.followed import FollowedRun
from wavepool.monitoring.runs.following import UNFIT, unfit_words
from wavepool.monitoring.runs.lines import blank_line, run_line
from wavepool.monitoring.usage.sweeps import Running
from wavepool.statedir import StateDir

Result = TypeVar("Result")


class Mark(NamedTuple):
    """When somebody last gave a sign of work on a run, and a number that changes when somebody takes it up."""

    at_s: float
    changes: tuple[int, int]


class RunCatalogue:
    """Directories are read in threads. A run that is over costs two looks at its files a second, and 1 kB.

    Attributes:
        live: runs that somebody held at the last look.
        look_took_s: how long that was.
    """

    def __init__(self, state_dir: StateDir, clock: Clock, threads: CapacityLimiter) -> None:
        self.live: dict[str, FollowedRun[RunFold]] = {}
        self.look_took_s = 0.0
        self._state_dir = state_dir
        self._clock = clock
        self._threads = threads
        self._marks: dict[str, Mark] = {}
        self._order: list[str] = []
        self._lines: dict[str, RunLine] = {}
        self._folding = anyio.Lock()
        self._looking = anyio.Lock()
        self._looked = anyio.Event()

    async def look(self) -> None:
        """See which runs there are, and which of them are live.

        Raises:
            InfrastructureError: the state directory cannot be read.
        """
        async with self._looking:
            began_s = time.monotonic()
            await self._look()
            self.look_took_s = time.monotonic() - began_s
        self._looked.set()
        self._looked = anyio.Event()

    async def follow(self) -> bool:
        """Read on in the journals of live runs; whether anything was found. Bounded."""
        return any([await run.read_on() for run in list(self.live.values())])

    async def fold_next(self) -> None:
        """Fold one run that is shown and was not yet; waits for one."""
        while (missing := next(self._missing(self._order[:RUNS_SHOWN]), None)) is None:
            await self._looked.wait()
        await self._fold(missing)

    def spawned(self) -> list[str]:
        """Runs that are shown and keep no journal: containers of `wavepool spawn`."""
        lines = [self._lines[run_id] for run_id in self._order[:RUNS_SHOWN] if run_id in self._lines]
        return [line["id"] for line in lines if line["state"] == Standing.SPAWNED.value]

    def put_spawned(self, folds: Mapping[str, RunFold]) -> None:
        """What was seen of them."""
        now = self._clock.now()
        for run_id in self.spawned():
            fold = folds.get(run_id)
            line = blank_line(run_id, Standing.SPAWNED)
            self._lines[run_id] = line if fold is None else run_line(run_id, Standing.SPAWNED, fold.progress, now)

    def running(self) -> list[Running]:
        """Attempts of live runs that may be running."""
        return [
            Running(run_id=run.id, driver=run.fold.progress.run.driver, handle=handle)
            for run in self.live.values()
            if run.fold.progress.run is not None
            for handle in run.fold.running.values()
        ]

    def shown(self) -> tuple[dict[str, RunLine], int]:
        """Lines for the overview, and how many runs are left out."""
        now = self._clock.now()
        shown = {run_id: run.line(now) for run_id, run in self.live.items() if run_id in self._marks}
        for run_id in self._order:
            if len(shown) >= RUNS_SHOWN:
                break
            if run_id in self._lines and run_id not in shown:
                shown[run_id] = self._lines[run_id]
        return shown, max(0, len(self._order) - max(len(shown), RUNS_SHOWN))

    async def lines(self, states: frozenset[str], offset: int, limit: int | None) -> list[RunLine]:
        """As `Monitor.runs`."""
        await self.look()
        found: list[RunLine] = []
        end = None if limit is None else offset + limit
        for run_id in list(self._order):
            line = await self._line(run_id)
            if line is not None and (not states or line["state"] in states):
                found.append(line)
            if end is not None and len(found) >= end:
                break
        return found[offset:end]

    # -- inside --

    async def _look(self) -> None:
        marks, live = await self._in_thread(self._scan)
        for run_id in [each for each in self._marks if marks.get(each) != self._marks[each]]:
            self._lines.pop(run_id, None)
        for run_id in live:
            if run_id not in self.live:
                self.live[run_id] = FollowedRun(self._state_dir.run(run_id), RunFold, self._threads)
        self._marks = marks
        self._order = sorted(marks, key=lambda each: marks[each].at_s, reverse=True)
        for run in list(self.live.values()):
            await run.look()
            if not run.is_live:
                await self._let_go(run)

    async def _line(self, run_id: str) -> RunLine | None:
        """None for one that has gone meanwhile."""
        run = self.live.get(run_id)
        if run is not None:
            await run.catch_up()
            return run.line(self._clock.now())
        if run_id not in self._lines:
            await self._fold(run_id)
        return self._lines.get(run_id)

    def _missing(self, run_ids: list[str]) -> Iterator[str]:
        return (each for each in run_ids if each not in self._lines and each not in self.live)

    async def _let_go(self, run: FollowedRun[RunFold]) -> None:
        """Its process has gone: what it wrote last is read, and its line stays."""
        await run.catch_up()
        self.live.pop(run.id, None)
        if run.id in self._marks:
            self._lines[run.id] = run.line(self._clock.now())

    async def _fold(self, run_id: str) -> None:
        async with self._folding:
            mark = self._marks.get(run_id)
            if mark is None or run_id in self._lines or run_id in self.live:
                return
            line = await self._in_thread(lambda: self._read(run_id))
            if self._marks.get(run_id) == mark:
                self._lines[run_id] = line

    def _read(self, run_id: str) -> RunLine:
        history, progress = RunHistory(self._state_dir.run(run_id)), Progress()
        try:
            if history.has_journal():
                progress.take_all(history.facts())
            live = history.is_live()
        except (InfrastructureError, *UNFIT) as error:
            problem = error.message if isinstance(error, InfrastructureError) else unfit_words(error)
            if progress.run is None:
                return blank_line(run_id, Standing.DAMAGED, problem=problem)
            return run_line(run_id, Standing.DAMAGED, progress, self._clock.now(), problem=problem)
        standing = standing_of(history.files, live=live, begun=progress.run is not None, outcome=progress.outcome)
        if progress.run is None:
            return blank_line(run_id, standing)
        return run_line(run_id, standing, progress, self._clock.now())

    def _scan(self) -> tuple[dict[str, Mark], list[str]]:
        """Marks of all runs, and which of those that may be live are."""
        marks: dict[str, Mark] = {}
        live: list[str] = []
        for run_id in self._state_dir.runs():
            mark = self._mark(run_id)
            if mark is None or self._is_of_pools(run_id):
                continue
            marks[run_id] = mark
            if run_id not in self.live and mark != self._marks.get(run_id) and self._is_live(run_id):
                live.append(run_id)
        return marks, live

    def _mark(self, run_id: str) -> Mark | None:
        files = self._state_dir.run(run_id)
        try:
            directory = os.stat(files.path)
        except OSError:
            return None
        sign = files.last_sign_of_life()
        at_s = directory.st_mtime if sign is None else sign.timestamp()
        return Mark(at_s, (directory.st_mtime_ns, 0 if sign is None else round(at_s * 1e6)))

    def _is_of_pools(self, run_id: str) -> bool:
        """Whether it is what a server of pools holds, which is no run. A run of such an id has a journal."""
        return run_id.startswith(SESSION_PREFIX) and not self._state_dir.run(run_id).journal.exists()

    def _is_live(self, run_id: str) -> bool:
        try:
            return self._state_dir.run(run_id).is_live()
        except InfrastructureError:
            return False  # its fold says why

    async def _in_thread(self, function: Callable[[], Result]) -> Result:
        return await anyio.to_thread.run_sync(function, limiter=self._threads)
