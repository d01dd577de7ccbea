"""A run of the core that a test leads by the hand: event by event, second by second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wavepool.core import events, facts
from wavepool.core.actions import Action, actions
from wavepool.core.decide import apply, decide, open_run
from wavepool.core.events import Event, Now
from wavepool.core.facts import Fact
from wavepool.core.state import RunState
from wavepool.model import (
    AttemptId,
    Ending,
    Evidence,
    Handle,
    Limits,
    LogRecord,
    Node,
    Resources,
    Rules,
    Surroundings,
    Task,
    VerdictKind,
    Wave,
)
from wavepool.testing.simulation.fingerprint import fingerprint
from wavepool.units import GIB

START = datetime(2030, 1, 1, tzinfo=UTC)


def task(name: str, wave: int = 1, *, gib: int = 1, **fields: Any) -> Task:
    return Task(id=name, key=name, wave=wave, tier=1, limits=Limits(memory_bytes=gib * GIB), **fields)


class CoreRun:
    """Feeds events as the engine does; every fact is kept, and at any point a replay must give the same state."""

    def __init__(self, tasks: Iterable[Task], waves: Iterable[Wave] = (), **rules: Any) -> None:
        tasks = tuple(tasks)
        numbers = sorted({t.wave for t in tasks})
        rules.setdefault("nodes", (Node(name="n", capacity=Resources(100 * GIB)),))
        rules.setdefault("parallel", 100)
        self.now_s = 0.0
        opened = facts.RunOpened(
            run_id="r",
            owner="o",
            rules=Rules(**rules),
            surroundings=Surroundings(image="i", workspace="/w", network="n"),
            driver="d",
            execution_mode="d",
            plan_digest="",
            boot_id="b",
            at=START,
        )
        self.facts: list[Fact] = [opened]
        self.state = open_run(opened)
        added = facts.TasksAdded(waves=tuple(waves) or tuple(Wave(number=n) for n in numbers), tasks=tasks)
        self.feed(events.Opened(run=opened, tasks=(added,)))

    def feed(self, *batch: Event, advance: bool = True) -> list[Fact]:
        """What is decided because of these events, and what can begin or end then."""
        now = Now(self.now_s, START + timedelta(seconds=self.now_s))
        decided: list[Fact] = []
        for event in (*batch, events.Advance()) if advance else batch:
            for fact in decide(self.state, event, now):
                apply(self.state, fact)
                decided.append(fact)
        self.facts += decided
        return decided

    def at(self, now_s: float) -> list[Fact]:
        """The clock reaches that second."""
        self.now_s = now_s
        return self.feed(events.DeadlinePassed())

    def runs(self, name: str, number: int = 1) -> list[Fact]:
        return self.feed(
            events.Running(attempt=AttemptId(name, number), handle=self.handle(name, number), started_at=None)
        )

    def ends(self, name: str, kind: VerdictKind = VerdictKind.SUCCESS, number: int = 1, **fields: Any) -> list[Fact]:
        """It ended, its logs are read, and what is left of it is removed."""
        said = fields.pop("agent", None)
        decided = self.exits(name, kind, number, **fields)
        decided += self.feed(events.Archived(attempt=AttemptId(name, number), log=LogRecord(path="log"), agent=said))
        return decided + self.feed(events.Cleared(attempt=AttemptId(name, number)))

    def exits(self, name: str, kind: VerdictKind = VerdictKind.SUCCESS, number: int = 1, **fields: Any) -> list[Fact]:
        handle = None if kind is VerdictKind.START_ERROR else self.handle(name, number)
        ending = Ending(kind=kind, evidence=Evidence(exit_code=0 if kind is VerdictKind.SUCCESS else 1), **fields)
        return self.feed(events.Ended(attempt=AttemptId(name, number), handle=handle, ending=ending))

    def handle(self, name: str, number: int = 1) -> Handle:
        return Handle(driver="d", id=f"{name}{number}", name=name, attempt=AttemptId(name, number))

    def started(self, decided: Iterable[Fact] | None = None) -> list[str]:
        """The attempts whose start was intended, of the whole run unless told."""
        chosen = self.facts if decided is None else decided
        return [str(fact.attempt) for fact in chosen if isinstance(fact, facts.StartIntended)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def verdict(self, name: str) -> VerdictKind | None:
        return self.state.tasks[name].verdict

    def replayed(self) -> RunState:
        """Another process's state, which is the same."""
        first = self.facts[0]
        assert isinstance(first, facts.RunOpened)
        state = open_run(first)
        for fact in self.facts[1:]:
            apply(state, fact)
        assert fingerprint(state) == fingerprint(self.state)
        return state

    def crash(self, shift_s: float = 0.0) -> list[Fact]:
        """Our process dies, another one resumes."""
        self.state = self.replayed()
        self.now_s += shift_s
        return self.feed(events.Resumed(boot_id="b2", shift_s=shift_s), advance=False)


def wanted(decided: Iterable[Fact]) -> list[Action]:
    return [action for fact in decided for action in actions(fact)]


@pytest.fixture
def new_run() -> Callable[..., CoreRun]:
    return CoreRun


@pytest.fixture
def make_task() -> Callable[..., Task]:
    return task


@pytest.fixture
def actions_of() -> Callable[[Iterable[Fact]], list[Action]]:
    return wanted
