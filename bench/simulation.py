"""Runs through the pure core in virtual time: nothing fails, starts take no time, and only the core is exercised.

(`wavepool.testing.simulation` is the one that checks, with faults and crashes; here it is speed and lengths.)
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from wavepool.core import events, facts
from wavepool.core.decide import apply, decide, open_run
from wavepool.core.events import Event, Now
from wavepool.core.facts import Fact
from wavepool.core.state import RunState
from wavepool.engine.order import TASKS_PER_FACT
from wavepool.labels import task_key
from wavepool.model import (
    AttemptId,
    Ending,
    Evidence,
    Handle,
    Isolation,
    Limits,
    LogRecord,
    Node,
    Resources,
    Rules,
    Schedule,
    Surroundings,
    Task,
    VerdictKind,
    Wave,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_SUCCESS = Ending(kind=VerdictKind.SUCCESS, evidence=Evidence(exit_code=0))
_LOG = LogRecord(path="logs/none.log")


def make_task(number: int, *, wave: int, memory_bytes: int) -> Task:
    """A task as a plan's batch gives it."""
    task_id = f"batch-{number}"
    return Task(id=task_id, key=task_key(task_id), wave=wave, tier=2, limits=Limits(memory_bytes=memory_bytes))


def opened(tasks: Sequence[Task], rules: Rules, places: tuple[int, ...] = ()) -> events.Opened:
    """The first event of a run of these tasks, as the engine makes it; `places` as in `TasksAdded`."""
    run = facts.RunOpened(
        run_id="bench",
        owner="0" * 16,
        rules=rules,
        surroundings=Surroundings(image="none", workspace="/", network="none"),
        driver="none",
        execution_mode="simulation",
        plan_digest="",
        boot_id="bench",
        at=BEGIN,
    )
    waves = tuple(Wave(number=number) for number in sorted({task.wave for task in tasks}))
    pieces = [slice(i, i + TASKS_PER_FACT) for i in range(0, len(tasks), TASKS_PER_FACT)]
    added = (
        facts.TasksAdded(waves=waves, tasks=()),
        *(facts.TasksAdded(waves=(), tasks=tuple(tasks[piece]), places=places[piece]) for piece in pieces),
    )
    return events.Opened(run=run, tasks=added)


@dataclass(slots=True, kw_only=True)
class Counts:
    """What a simulated run took."""

    events: int = 0
    facts: int = 0
    batches: int = 0
    makespan_s: float = 0.0


class World:
    """Answers what the core wants done, at once or (an attempt's end) after its duration.

    Args:
        duration_s: how long an attempt takes, at least 0.
    """

    def __init__(self, duration_s: Callable[[AttemptId], float]) -> None:
        self._duration_s = duration_s
        self._ends: list[tuple[float, int, AttemptId]] = []
        self._count = 0
        self.now_s = 0.0

    def now(self) -> Now:
        return Now(self.now_s, BEGIN + timedelta(seconds=self.now_s))

    def answer(self, decided: Iterable[Fact]) -> list[Event]:
        """The events that follow at once from these facts."""
        answers: list[Event] = []
        for fact in decided:
            if type(fact) is facts.StartIntended:
                answers.append(events.Running(attempt=fact.attempt, handle=_handle(fact.attempt), started_at=None))
                self._count += 1
                heapq.heappush(self._ends, (self.now_s + self._duration_s(fact.attempt), self._count, fact.attempt))
            elif type(fact) is facts.AttemptExited:
                answers.append(events.Archived(attempt=fact.attempt, log=_LOG))
            elif type(fact) is facts.AttemptSettled:
                answers.append(events.Cleared(attempt=fact.attempt))
        return answers

    def next_ends(self) -> list[Event]:
        """Go to the next instant at which attempts end: their ends. Empty where nothing runs."""
        if not self._ends:
            return []
        self.now_s = self._ends[0][0]
        ended: list[Event] = []
        while self._ends and self._ends[0][0] <= self.now_s:
            attempt = heapq.heappop(self._ends)[2]
            ended.append(events.Ended(attempt=attempt, handle=None, ending=_SUCCESS))
        return ended


def _handle(attempt: AttemptId) -> Handle:
    return Handle(driver="none", id=attempt.task_id, name=attempt.task_id, attempt=attempt)


def step(state: RunState, batch: Sequence[Event], now: Now) -> list[Fact]:
    """One turn of the engine's loop without its journal: decide about a batch and apply what follows."""
    decided: list[Fact] = []
    for event in (*batch, events.Advance()):
        for fact in decide(state, event, now):
            apply(state, fact)
            decided.append(fact)
    return decided


class Simulation:
    """One run from its first fact on. `take` moves it by one turn."""

    def __init__(
        self,
        tasks: Sequence[Task],
        rules: Rules,
        duration_s: Callable[[AttemptId], float],
        places: tuple[int, ...] = (),
    ) -> None:
        self._world = World(duration_s)
        first = opened(tasks, rules, places)
        self.state = open_run(first.run)
        self.counts = Counts()
        self.opening: list[Fact] = [first.run]
        for fact in decide(self.state, first, self._world.now()):
            apply(self.state, fact)
            self.opening.append(fact)
        self._inbox: list[Event] = []

    @property
    def now(self) -> Now:
        return self._world.now()

    def take(self) -> list[Fact] | None:
        """Decide about everything that has come in: the facts of one commit. None when the run is over."""
        if self.state.outcome is not None:
            return None
        batch = self._inbox or self._world.next_ends()
        decided = step(self.state, batch, self._world.now())
        self._inbox = self._world.answer(decided)
        self.counts.events += len(batch)
        self.counts.facts += len(decided)
        self.counts.batches += 1
        return decided

    def finish(self) -> Counts:
        """To the end of the run, its facts thrown away."""
        while self.take() is not None:
            pass
        self.counts.makespan_s = self._world.now_s
        return self.counts


def rules_for(memory_bytes: int, *, schedule: Schedule = Schedule.ROLLING, parallel: int = 5) -> Rules:
    """Rules of one node with this budget, without networks to be made."""
    nodes = (Node(name="local", capacity=Resources(memory_bytes)),)
    return Rules(nodes=nodes, isolation=Isolation.NONE, schedule=schedule, parallel=parallel)
