"""What the facts of one run add up to. Mutable; only `apply` changes it.

The queue and the waiting lists are an index over the pending tasks: the scheduler moves tasks between them as gates
answer, and a replay builds them again. Nothing is decided from them that the facts do not say.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wavepool.core.course import RunCourse
from wavepool.core.facts import Outcome, RunOpened
from wavepool.core.ramp import first_ramp
from wavepool.core.spending import Spending
from wavepool.core.timers import Timers, wave_timer
from wavepool.model import (
    AttemptId,
    AttemptPhase,
    Ending,
    Finding,
    Handle,
    Resources,
    Rules,
    StopReason,
    Task,
    VerdictKind,
    WatchdogRule,
    Wave,
)


class TaskStatus(StrEnum):
    """`PENDING` waits for an attempt, `ACTIVE` has one, `FINAL` will have no more."""

    PENDING = "pending"
    ACTIVE = "active"
    FINAL = "final"


class TaskState:
    """One task and what became of it so far."""

    __slots__ = (
        "attempts",
        "cancelled",
        "excused",
        "forgiven",
        "index",
        "indexed",
        "may_repeat",
        "rate_limited",
        "status",
        "task",
        "transient_starts",
        "verdict",
    )

    def __init__(self, task: Task, index: int) -> None:
        self.task = task
        self.index = index
        """Its place in the order in which tasks start; that of the plan, unless the run was opened with another."""
        self.indexed = True
        """Its index stands in the queue or in a waiting list, exactly once."""
        self.status = TaskStatus.PENDING
        self.attempts = 0
        self.forgiven = 0
        """Attempts of before somebody had the task tried again by hand; they do not count against `max_attempts`."""
        self.cancelled = False
        """Somebody cancelled it since then."""
        self.excused = False
        """It was cancelled, or one that it depends on: it does not stop the run."""
        self.transient_starts = 0
        """Attempts since then that ended in a start error that may pass; these do not count either."""
        self.rate_limited = 0
        """Attempts since then whose account had no more to give; as many as `rate_limit_retries` do not count."""
        self.may_repeat = False
        """An earlier attempt was lost, so that a further one may repeat its work."""
        self.verdict: VerdictKind | None = None
        """Of the last attempt; SKIPPED where there was none."""


class AttemptState:
    """One attempt that still has something to be done about it."""

    __slots__ = (
        "ending",
        "finding",
        "handle",
        "held",
        "id",
        "intended_s",
        "node",
        "phase",
        "stop_reason",
        "verdict",
        "warned",
        "wave",
    )

    def __init__(self, attempt: AttemptId, wave: int, node: int, held: Resources, intended_s: float | None) -> None:
        self.id = attempt
        self.intended_s = intended_s
        self.wave = wave
        self.node = node
        self.held = held
        self.phase = AttemptPhase.INTENDED
        self.handle: Handle | None = None
        self.stop_reason: StopReason | None = None
        self.finding: Finding | None = None
        """What the watchdog stops it for."""
        self.warned: tuple[WatchdogRule, ...] = ()
        """Rules that were warned of, each once."""
        self.ending: Ending | None = None
        """How it ended, from the exit until the verdict."""
        self.verdict: VerdictKind | None = None
        """From the verdict until nothing of it is left."""


class WaveState:
    """One wave: how many of its tasks are not final, and which attempts of it are live."""

    __slots__ = (
        "excused",
        "failures",
        "live",
        "number",
        "opened",
        "parallelism",
        "prepared",
        "rounds",
        "running",
        "settled",
        "unsettled",
    )

    def __init__(self, wave: Wave) -> None:
        self.number = wave.number
        self.parallelism = wave.parallelism
        self.opened = False
        self.prepared = False
        self.settled = False
        self.failures = 0
        """Tasks that are final and did not succeed."""
        self.excused = 0
        """Those of them that somebody cancelled, and their dependents."""
        self.unsettled = 0
        """Tasks that are not final."""
        self.live = 0
        """Attempts that are not removed."""
        self.running = 0
        """Attempts that hold resources."""
        self.rounds = 0
        """How often the wave's bound was reached."""

    @property
    def stops_the_run(self) -> bool:
        """Tasks of it failed by themselves."""
        return self.failures > self.excused


@dataclass(slots=True, kw_only=True)
class AccountState:
    """One account that has had no more to give.

    Attributes:
        until: when it has again, as it was told last.
        because: what was said.
        pauses: in a row, without a success in between.
    """

    until: datetime
    because: str
    pauses: int = 0


class RunState:
    """One run. Made by its first fact."""

    def __init__(self, run: RunOpened) -> None:
        self.run = run
        self.rules: Rules = run.rules
        self.tasks: dict[str, TaskState] = {}
        self.order: list[TaskState] = []
        """As in the plan."""
        self.waves: dict[int, WaveState] = {}
        """In the order of their numbers."""
        self.open: dict[int, WaveState] = {}
        """Waves that were opened and are not settled."""
        self.ripe: set[int] = set()
        """Open waves of which every task is final and no attempt is left: they can be settled."""
        self.live: dict[AttemptId, AttemptState] = {}
        self.timers = Timers()
        self.free: list[Resources] = [node.capacity for node in run.rules.for_attempts()]
        """What is left of each node's budget for attempts."""
        self.starting = 0
        """Attempts that are intended and not yet known to run."""
        self.ramp = first_ramp(run.rules.parallel)
        """How many starts the pressure on the host allows; heeded where the rules say so."""
        self.pending = 0
        self.course = RunCourse()
        self.wave_time_left_s: dict[int, float] = {}
        """While it is paused: what open waves have left of their bound."""
        self.failures = 0
        """Tasks whose last verdict is final and not success, the skipped ones included."""
        self.verdicts: Counter[VerdictKind] = Counter()
        self.left_behind: list[str] = []
        self.accounts: dict[str, AccountState] = {}
        """Accounts that were paused at least once."""
        self.spending = Spending()
        self.dependents: dict[str, list[str]] = {}
        self.first_open = 0
        """Position in `wave_order` of the first wave that is not settled."""
        self.wave_order: list[int] = []
        self._position: dict[int, int] = {}
        self._by_index: dict[int, TaskState] | None = None
        """None where tasks start in the order of the plan: then `order` is that."""
        self._ready: list[int] = []
        self._waiting: dict[Hashable, list[int]] = {}

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, None before that."""
        return self.course.outcome

    # -- tasks and waves --

    def add(self, waves: tuple[Wave, ...], tasks: tuple[Task, ...], places: tuple[int, ...] = ()) -> None:
        """Take in more of the plan.

        `places`: where each of `tasks` stands in the order of starting, over the whole plan; empty: as they come.
        """
        for wave in waves:
            self.waves[wave.number] = WaveState(wave)
            self._position[wave.number] = len(self.wave_order)
            self.wave_order.append(wave.number)
        if places and self._by_index is None:
            self._by_index = {}
        for task, index in zip(tasks, places or range(len(self.order), len(self.order) + len(tasks)), strict=True):
            entry = TaskState(task, index)
            self.order.append(entry)
            self.tasks[task.id] = entry
            self.waves[task.wave].unsettled += 1
            if self._by_index is None:
                self._ready.append(index)  # indexes rise, so the list stays a heap
            else:
                self._by_index[index] = entry
                heapq.heappush(self._ready, index)
            for dependency in task.depends_on:
                self.dependents.setdefault(dependency, []).append(task.id)
        self.pending += len(tasks)

    def attempt(self, attempt: AttemptId) -> AttemptState | None:
        """The live attempt, None where nothing is left to be done about it."""
        return self.live.get(attempt)

    def open_waves(self) -> Iterator[WaveState]:
        """Waves that were opened and are not settled."""
        return iter(self.open.values())

    def current_wave(self) -> WaveState | None:
        """The first wave that is not settled, None when all are."""
        if self.first_open >= len(self.wave_order):
            return None
        return self.waves[self.wave_order[self.first_open]]

    def memory_held_bytes(self) -> int:
        """What running attempts hold together, over all nodes."""
        total = sum(node.capacity.memory_bytes for node in self.rules.for_attempts())
        return total - sum(free.memory_bytes for free in self.free)

    def note_if_ripe(self, wave: WaveState) -> None:
        """Called whenever one of the wave's counts fell, or it was opened."""
        if wave.opened and not wave.settled and wave.unsettled == 0 and wave.live == 0:
            self.ripe.add(wave.number)

    def reopen_wave(self, number: int) -> None:
        """A task of the wave is pending again: the wave will be opened anew, with all its rounds."""
        wave = self.waves[number]
        wave.opened = wave.prepared = wave.settled = False
        wave.rounds = 0
        self.open.pop(number, None)
        self.ripe.discard(number)
        self.timers.clear(wave_timer(number))
        self.first_open = min(self.first_open, self._position[number])

    def pass_settled_waves(self) -> None:
        """Move on to the first wave that is not settled."""
        while self.first_open < len(self.wave_order) and self.waves[self.wave_order[self.first_open]].settled:
            self.first_open += 1

    # -- the index of pending tasks --

    def _at(self, index: int) -> TaskState:
        return self.order[index] if self._by_index is None else self._by_index[index]

    def head(self) -> TaskState | None:
        """The pending task that comes next, None when there is none that is ready."""
        while self._ready:
            entry = self._at(self._ready[0])
            if entry.status is TaskStatus.PENDING:
                return entry
            heapq.heappop(self._ready)
            entry.indexed = False
        return None

    def coming(self) -> Iterator[TaskState]:
        """The pending tasks that are ready, in the order in which they start. Changes nothing; O(log n) for each."""
        nearest = [(self._ready[0], 0)] if self._ready else []
        while nearest:
            index, place = heapq.heappop(nearest)
            for child in range(2 * place + 1, min(2 * place + 3, len(self._ready))):  # of a heap's own tree
                heapq.heappush(nearest, (self._ready[child], child))
            entry = self._at(index)
            if entry.status is TaskStatus.PENDING:
                yield entry

    def waiting_for(self, key: Hashable, limit: int) -> list[TaskState]:
        """The first tasks, at most `limit`, that wait for `key`, in the order in which they start."""
        return [self._at(index) for index in heapq.nsmallest(limit, self._waiting.get(key, ()))]

    def set_aside(self, key: Hashable) -> None:
        """Let the head wait for `key`, so that the next task comes up."""
        heapq.heappush(self._waiting.setdefault(key, []), heapq.heappop(self._ready))

    def requeue(self, entry: TaskState) -> None:
        """The task is pending again, in its old place."""
        if not entry.indexed:  # a replay has not asked for heads: there it never left its place
            entry.indexed = True
            heapq.heappush(self._ready, entry.index)

    def wake(self, key: Hashable, limit: int | None = None) -> None:
        """Bring back those that wait for `key`, in the order in which they start; at most `limit` of them."""
        waiting = self._waiting.get(key)
        if waiting is None:
            return
        left = len(waiting) if limit is None else limit
        while waiting and left > 0:
            index = heapq.heappop(waiting)
            heapq.heappush(self._ready, index)
            if self._at(index).status is TaskStatus.PENDING:  # one that was skipped meanwhile needs no slot
                left -= 1
        if not waiting:
            del self._waiting[key]

    def wake_all(self) -> None:
        """Bring back all that wait for anything: the gates will say again what for."""
        for key in list(self._waiting):
            self.wake(key)
