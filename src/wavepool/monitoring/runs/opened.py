"""Runs that somebody looks at closely, and some that somebody just did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio
from anyio import CapacityLimiter
from anyio.lowlevel import checkpoint

from wavepool.engine.clock import Clock
from wavepool.engine.history.runs import Standing, open_history
from wavepool.engine.usage.record import read_record
from wavepool.monitoring.documents.runs import TaskEntry
from wavepool.monitoring.runs.document import RunChannel
from wavepool.monitoring.runs.folds import TaskFold
from wavepool.monitoring.runs.followed import FollowedRun
from wavepool.monitoring.usage.readings import UsageBook
from wavepool.statedir import StateDir

KEPT_RUNS = 16
KEPT_TASKS = 200_000
"""Of runs that nobody looks at any more so many stay folded, for who looks again, and all their tasks together."""

RECORDED_S = 30.0
"""What a run has written down of its usage is read again for who comes later than that, as long as it is live."""

SCANNED = 2000
"""Tasks that are looked through before others have their turn on the loop."""


@dataclass(slots=True)
class _Opened:
    channel: RunChannel
    viewers: int = 0
    recorded_s: float = -RECORDED_S
    """When its usage was read, on the boot clock; and whether it was live then."""
    recorded_live: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which tasks somebody asked for.

    Attributes:
        states: in one of these; in any, where none is named.
        wave: of this wave; None of all.
        cause: of this group of failures; empty for any.
        text: with this in id, key, agent or image; in case-folded form.
    """

    states: frozenset[str] = frozenset()
    wave: int | None = None
    cause: str = ""
    text: str = ""

    def has(self, fold: TaskFold, place: int, task_id: str) -> bool:
        """Whether the task at this place of the plan is one of them."""
        return (
            (self.wave is None or fold.wave(task_id) == self.wave)
            and (not self.cause or fold.causes.of(task_id) == self.cause)
            and (not self.text or fold.matches(place, self.text))
            and (not self.states or fold.state(task_id) in self.states)
        )


class OpenedRuns:
    """Folds each once for all who look. The one that was looked at longest ago is forgotten first.

    Args:
        spawned: what was seen of a run that keeps no journal; None where nothing was.
    """

    def __init__(
        self,
        state_dir: StateDir,
        clock: Clock,
        threads: CapacityLimiter,
        usage: UsageBook,
        spawned: Callable[[str], TaskFold | None],
    ) -> None:
        self._spawned = spawned
        self._state_dir = state_dir
        self._clock = clock
        self._threads = threads
        self._usage = usage
        self._opened: dict[str, _Opened] = {}
        self._turns: dict[str, anyio.Lock] = {}
        """Of runs that are being folded: who asks for one waits for that, and for no other."""

    @property
    def ids(self) -> set[str]:
        """Of all that are folded."""
        return set(self._opened)

    async def open(self, run_id: str) -> RunChannel:
        """One more viewer. Raises UnknownRun."""
        opened = await self._find(run_id)
        opened.viewers += 1
        await self._read_usage(opened)
        return opened.channel

    def close(self, run_id: str) -> None:
        """One viewer less."""
        opened = self._opened.get(run_id)
        if opened is not None and opened.viewers:
            opened.viewers -= 1
            self._forget()

    async def visit(self, run_id: str) -> RunChannel:
        """For one look, with all that is in the journal now. Raises UnknownRun."""
        opened = await self._find(run_id)
        channel = opened.channel
        await channel.run.look()
        await channel.run.catch_up()
        self._put_spawned(channel.run)
        await self._read_usage(opened)
        return channel

    def viewed(self) -> list[FollowedRun[TaskFold]]:
        """Those that have viewers."""
        return [each.channel.run for each in self._viewed()]

    async def look(self) -> None:
        """See whether those with viewers are still held by somebody, and what there is of those without a journal."""
        for opened in self._viewed():
            await opened.channel.run.look()
            self._put_spawned(opened.channel.run)
            if opened.recorded_live and not opened.channel.run.is_live:
                await self._read_usage(opened)

    async def follow(self) -> None:
        """Read on in those with viewers. Bounded."""
        for opened in self._viewed():
            await opened.channel.run.read_on()

    async def tasks(self, channel: RunChannel, wanted: Wanted, offset: int, limit: int) -> tuple[int, list[TaskEntry]]:
        """As `Monitor.tasks`."""
        fold, found, total = channel.run.fold, list[str](), 0
        for place, task_id in enumerate(fold.in_order()):
            if place % SCANNED == SCANNED - 1:
                await checkpoint()
            if wanted.has(fold, place, task_id):
                if offset <= total < offset + limit:
                    found.append(task_id)
                total += 1
        return total, [channel.entry(task_id) for task_id in found]

    # -- inside --

    def _viewed(self) -> list[_Opened]:
        return [each for each in self._opened.values() if each.viewers]

    async def _find(self, run_id: str) -> _Opened:
        turn = self._turns.setdefault(run_id, anyio.Lock())
        try:
            async with turn:
                opened = self._opened.get(run_id)
                if opened is None or (not opened.viewers and not opened.channel.run.files.path.is_dir()):
                    self._opened.pop(run_id, None)
                    opened = _Opened(await self._fold(run_id))
                self._opened[run_id] = self._opened.pop(run_id, opened)  # the newest is last
        finally:
            if not turn.statistics().tasks_waiting:
                self._turns.pop(run_id, None)
        self._forget(but=run_id)
        return opened

    async def _read_usage(self, opened: _Opened) -> None:
        """What the run wrote down of it: once, and again as long as somebody goes on writing, and after that."""
        now_s, run = self._clock.now().boot_s, opened.channel.run
        if not opened.recorded_live or (run.is_live and now_s - opened.recorded_s < RECORDED_S):
            opened.recorded_live = opened.recorded_live or run.is_live
            return
        opened.recorded_s, opened.recorded_live = now_s, run.is_live
        opened.channel.usage.put_recorded(
            await anyio.to_thread.run_sync(read_record, run.files.usage, limiter=self._threads)
        )

    async def _fold(self, run_id: str) -> RunChannel:
        history = await anyio.to_thread.run_sync(open_history, self._state_dir, run_id, limiter=self._threads)
        run = FollowedRun(history.files, TaskFold, self._threads)
        await run.look()
        await run.catch_up()
        self._put_spawned(run)
        return RunChannel(run, self._usage.of(run_id), self._clock)

    def _put_spawned(self, run: FollowedRun[TaskFold]) -> None:
        fold = self._spawned(run.id) if run.standing is Standing.SPAWNED else None
        if fold is not None:
            run.put_seen(fold)

    def _forget(self, *, but: str = "") -> None:
        while True:
            tasks = sum(len(each.channel.run.fold) for each in self._opened.values())
            idle = [run_id for run_id, each in self._opened.items() if not each.viewers and run_id != but]
            if not idle or (len(self._opened) <= KEPT_RUNS and tasks <= KEPT_TASKS):
                return
            del self._opened[idle[0]]
