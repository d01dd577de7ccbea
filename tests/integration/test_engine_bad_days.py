"""Whole runs on bad days: signals at awkward moments, calls that never answer, journals that fail, late resumes.

The real session, loop and journal on the simulated engine, in virtual time; signals are real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from wavepool.core.facts import Outcome, Stamped, StartIntended
from wavepool.drivers.base import (
    AttemptSpec,
    Driver,
    DriverFacts,
    Handle,
    Needs,
    Observation,
    Prepared,
    PullProgress,
    Removed,
    Scope,
    Synced,
)
from wavepool.drivers.memory import Fault, MemoryDriver, MemoryWorld
from wavepool.engine.attempts.perform import TRIES
from wavepool.engine.listener import Listener
from wavepool.engine.order import Order
from wavepool.engine.replay import take_up
from wavepool.engine.report import RunReport
from wavepool.engine.session import Session
from wavepool.errors import DriverUnavailable, JournalError, PlanError, SettingError
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import Node, Resources, Rules, SecretSource, Surroundings
from wavepool.plan import TierMap, parse_plan
from wavepool.statedir import StateDir
from wavepool.testing.faults import FaultPlan
from wavepool.testing.virtual_time import run_virtual
from wavepool.testing.whole_runs import IMAGE, RUN_ID, VirtualClock
from wavepool.units import GIB, MIB
from wavepool.wiring import RunRequest, with_budget

SIMULATED_DAY_S = 86_400.0
NODES = (Node(name="local", capacity=Resources(GIB)),)
RULES = Rules(nodes=NODES)


def batch(name: str, *words: str, **fields: Any) -> dict[str, Any]:
    return {"batch_id": name, "memory": "256m", "tier": 1, "files": ["a"], "command": ["sim", *words], **fields}


def plan_of(*waves: Sequence[dict[str, Any]]) -> bytes:
    numbered = [{"wave_number": n, "batches": list(batches)} for n, batches in enumerate(waves, start=1)]
    return json.dumps({"waves": numbered}).encode()


class Heard(Listener):
    """Calls back at each fact; remembers them all."""

    def __init__(self, on_fact: Callable[[Stamped], None] = lambda stamped: None) -> None:
        self.facts: list[Stamped] = []
        self._on_fact = on_fact

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        self.facts.extend(facts)
        for stamped in facts:
            self._on_fact(stamped)

    def of(self, kind: type) -> list[Any]:
        return [stamped.fact for stamped in self.facts if isinstance(stamped.fact, kind)]


@dataclass(kw_only=True)
class BadDay:
    """One run; each `process()` is one process that works on it."""

    directory: Path
    plan: bytes
    world: MemoryWorld = field(default_factory=lambda: MemoryWorld(nodes=NODES))
    rules: Rules = RULES
    driver: Callable[[MemoryWorld], Driver] = MemoryDriver
    journal: Callable[[Path], SqliteJournal] = SqliteJournal
    secrets: dict[str, bytes] = field(default_factory=dict)
    _journals: list[SqliteJournal] = field(default_factory=list)

    def process(self, *listeners: Listener, later_s: float = 0.0, driver: Driver | None = None) -> RunReport:
        async def main() -> RunReport:
            await anyio.sleep(later_s)
            with anyio.fail_after(SIMULATED_DAY_S):
                return await self._session(listeners, driver or self.driver(self.world))

        return run_virtual(main, busy=lambda: bool(self._journals and self._journals[-1].pending))

    def cancelled(self, after_s: float, *, by_asyncio: bool) -> None:
        """A process of somebody else's, who cancels the run."""

        async def main() -> None:
            if by_asyncio:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(after_s):
                        await self._session([], self.driver(self.world))
            else:
                with anyio.move_on_after(after_s):
                    await self._session([], self.driver(self.world))

        run_virtual(main, busy=lambda: bool(self._journals and self._journals[-1].pending))

    async def _session(self, listeners: Sequence[Listener], driver: Driver) -> RunReport:
        state_dir = StateDir(self.directory)
        files = state_dir.run(RUN_ID)
        plan = parse_plan(self.plan, source="plan", tiers=TierMap())
        with files.lock():
            journal = self.journal(files.journal)
            self._journals.append(journal)
            async with journal, driver:
                around = Surroundings(
                    image=IMAGE,
                    workspace=str(self.directory),
                    network="net",
                    secrets=tuple(SecretSource(name=name, kind="env", source=name) for name in self.secrets),
                )
                return await Session(
                    order=Order(plan=plan, rules=self.rules, surroundings=around),
                    replayed=await take_up(journal, listeners),
                    secrets=self.secrets,
                    driver=driver,
                    driver_facts=await driver.probe(),
                    journal=journal,
                    clock=VirtualClock(),
                    state_dir=state_dir,
                    files=files,
                    listeners=listeners,
                    signals=True,
                ).run()


def ctrl_c_at(*kinds: type) -> Heard:
    """Ctrl-C at the first fact of each kind."""
    left = list(kinds)

    def press(stamped: Stamped) -> None:
        if left and isinstance(stamped.fact, left[0]):
            left.pop(0)
            signal.raise_signal(signal.SIGINT)

    return Heard(press)


def verdicts(report: RunReport) -> dict[str, str | None]:
    return {e["batch_id"]: e["verdict"] for wave in report.result()["waves"] for e in wave["containers"]}


def test_ctrl_c_then_resume_days_later_gives_the_wave_its_time(tmp_path: Path) -> None:
    wave = [batch(name, "duration=10", parallelism=1) for name in "abcdefgh"]
    day = BadDay(directory=tmp_path, plan=plan_of(wave), rules=Rules(nodes=NODES, wave_timeout_s=100))
    assert day.process(ctrl_c_at(StartIntended)).outcome is Outcome.INTERRUPTED
    report = day.process(later_s=5_000)
    assert set(verdicts(report).values()) == {"success"}


def test_a_wave_that_failed_and_was_interrupted_still_stops_the_run_when_it_is_resumed(tmp_path: Path) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("bad", "duration=5", "exit=1")], [batch("next")]))
    assert day.process(ctrl_c_at(StartIntended)).outcome is Outcome.INTERRUPTED
    report = day.process()
    assert verdicts(report) == {"bad": "failed", "next": "skipped"}
    assert report.outcome is Outcome.FAILED


def test_an_attempt_that_cannot_be_stopped_does_not_hold_the_run_for_ever(tmp_path: Path) -> None:
    world = MemoryWorld(nodes=NODES, hazards=FaultPlan.always(Fault.STOP_HANGS, most=1000))
    day = BadDay(
        directory=tmp_path, plan=plan_of([batch("stuck", "duration=1e9", "ignore_term", timeout=5)]), world=world
    )
    assert verdicts(day.process()) == {"stuck": "timeout"}


class SlowWatch(MemoryDriver):
    """Tells what exists only after a while."""

    def watch(self, scope: Scope) -> AbstractAsyncContextManager[AsyncIterator[Observation | Synced]]:
        return self._later(super().watch(scope))

    @asynccontextmanager
    async def _later(
        self, watch: AbstractAsyncContextManager[AsyncIterator[Observation | Synced]]
    ) -> AsyncIterator[AsyncIterator[Observation | Synced]]:
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep(5)
        async with watch as stream:
            yield stream


def test_ctrl_c_before_the_watch_has_told_what_exists_starts_nothing(tmp_path: Path) -> None:
    heard = Heard()
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a", "duration=5")]), driver=SlowWatch)
    assert day.process(heard).outcome is Outcome.INTERRUPTED
    assert heard.of(StartIntended) == []


class InterruptedRemoval(MemoryDriver):
    """Ctrl-C while the run's end is being cleaned up."""

    async def remove(self, target: Scope | Handle) -> Removed:
        if isinstance(target, Scope):
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep(1)
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep(1)
        return await super().remove(target)


def test_ctrl_c_during_the_release_lets_it_finish(tmp_path: Path) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a")]), driver=InterruptedRemoval)
    assert day.process().outcome is Outcome.SUCCESS
    assert day.world.networks == {}


@pytest.mark.parametrize("by_asyncio", [False, True])
def test_who_cancels_a_run_leaves_nothing_behind(tmp_path: Path, by_asyncio: bool) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a", "duration=500"), batch("b", "duration=500")]))
    day.cancelled(20, by_asyncio=by_asyncio)
    assert day.world.container_names() == []
    assert day.world.networks == {}


class InterruptedPrepare(MemoryDriver):
    async def prepare(self, needs: Needs, progress: PullProgress | None = None) -> Prepared:
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep(5)
        return await super().prepare(needs, progress)


def test_ctrl_c_while_a_new_run_prepares_opens_nothing(tmp_path: Path) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a")]), driver=InterruptedPrepare)
    report = day.process()
    assert report.outcome is Outcome.INTERRUPTED
    assert "run_id" not in report.result()


class GivesUp(MemoryDriver):
    """The engine goes away while attempts run."""

    def watch(self, scope: Scope) -> AbstractAsyncContextManager[AsyncIterator[Observation | Synced]]:
        return self._cut(super().watch(scope))

    @asynccontextmanager
    async def _cut(
        self, watch: AbstractAsyncContextManager[AsyncIterator[Observation | Synced]]
    ) -> AsyncIterator[AsyncIterator[Observation | Synced]]:
        async with watch as stream:
            yield self._first(stream, 3)

    async def _first(self, stream: AsyncIterator[Observation | Synced], count: int) -> AsyncIterator[Any]:
        for _ in range(count):
            yield await anext(stream)
        raise DriverUnavailable("the engine stayed away")


def test_ctrl_c_while_a_resume_prepares_kills_nothing_without_a_fact(tmp_path: Path) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a", "duration=50"), batch("b", "duration=50")]))
    with pytest.raises(BaseExceptionGroup) as caught:
        day.process(driver=GivesUp(day.world))
    assert caught.group_contains(DriverUnavailable)
    assert f"`wavepool resume {RUN_ID}` goes on with it" in _all_notes(caught.value)
    assert len(day.world.container_names()) == 2
    report = day.process(driver=InterruptedPrepare(day.world))
    assert report.outcome is Outcome.SUCCESS, "both had been started, and were waited for"
    report = day.process()
    assert verdicts(report) == {"a": "success", "b": "success"}


def test_what_a_run_left_running_when_its_engine_went_away_is_adopted(tmp_path: Path) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a", "duration=50"), batch("b", "duration=50")]))
    with pytest.raises(BaseExceptionGroup):
        day.process(driver=GivesUp(day.world))
    report = day.process()
    assert verdicts(report) == {"a": "success", "b": "success"}
    assert report.result()["stopped_because"] is None


def test_a_listener_that_breaks_while_a_run_is_taken_up_ends_nothing_and_the_others_hear_all(tmp_path: Path) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a", "duration=10"), batch("b", "duration=50")], [batch("c")]))
    assert day.process(ctrl_c_at(StartIntended)).outcome is Outcome.INTERRUPTED

    def breaks(_: Stamped) -> None:
        raise ZeroDivisionError("a broken screen")

    heard = Heard()
    assert day.process(Heard(breaks), heard).outcome is Outcome.SUCCESS
    assert heard.facts == list(SqliteJournal(StateDir(tmp_path).run(RUN_ID).journal).replay())


def _all_notes(error: BaseException) -> str:
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return "\n".join([*getattr(error, "__notes__", ()), *(_all_notes(one) for one in inner)])


def test_a_resume_without_the_secrets_of_the_run_is_refused(tmp_path: Path) -> None:
    plan = plan_of([batch("a", "show_secret=TOKEN", "duration=10")], [batch("b", "show_secret=TOKEN")])
    day = BadDay(directory=tmp_path, plan=plan, secrets={"TOKEN": b"x"})
    assert day.process(ctrl_c_at(StartIntended)).outcome is Outcome.INTERRUPTED
    without = replace(day, secrets={})
    with pytest.raises(SettingError, match=r"env:TOKEN(?s:.*)--secret TOKEN=env:"):
        without.process()
    assert day.process().outcome is Outcome.SUCCESS


class NoPrepare(MemoryDriver):
    async def prepare(self, needs: Needs, progress: PullProgress | None = None) -> Prepared:
        raise AssertionError("nothing is needed for a run that is over")


def test_a_run_that_is_over_is_told_again_and_prepares_nothing(tmp_path: Path) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a"), batch("b", "exit=1")]))
    first = day.process()
    assert first.outcome is Outcome.FAILED
    again = day.process(driver=NoPrepare(day.world))
    assert again.result() == first.result()


def test_what_the_release_removed_after_all_is_not_left_behind(tmp_path: Path) -> None:
    world = MemoryWorld(nodes=NODES, hazards=FaultPlan.always(Fault.REMOVE_FAILS, most=TRIES))
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a")]), world=world)
    report = day.process()
    assert world.container_names() == []
    assert report.result()["left_behind"] == []


def test_a_run_that_is_resumed_is_not_measured_by_what_it_left_running_leaves_free(tmp_path: Path) -> None:
    plan = parse_plan(plan_of([batch("a")]), source="plan", tiers=TierMap())
    around = Surroundings(image=IMAGE, workspace=str(tmp_path), network="net")
    request = RunRequest(plan=plan, rules=RULES, surroundings=around, budget=64 * MIB, state_dir=tmp_path)
    found = DriverFacts(driver="memory", version="", execution_mode="docker", nodes=NODES)
    with pytest.raises(PlanError):
        with_budget(request, found)
    with_budget(request, found, resumed=True)


class Broken(MemoryDriver):
    """Raises what no contract names."""

    async def start(self, spec: AttemptSpec) -> Handle:
        raise ZeroDivisionError("a bug of the driver")


def test_a_bug_in_a_driver_ends_the_run_and_not_silently(tmp_path: Path) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a")]), driver=Broken)
    with pytest.raises(BaseExceptionGroup) as caught:
        day.process()
    assert caught.group_contains(ZeroDivisionError)
    assert "wavepool resume" in _all_notes(caught.value)


class NoSlots(MemoryDriver):
    """Slots cannot be made, as on a disk that is full."""

    slots: Path

    async def start(self, spec: AttemptSpec) -> Handle:
        raise AssertionError("it has no slot")

    async def prepare(self, needs: Needs, progress: PullProgress | None = None) -> Prepared:
        if self.slots.is_dir():
            self.slots.rmdir()
            self.slots.touch()
        return await super().prepare(needs, progress)


def test_a_slot_that_cannot_be_made_is_a_start_error_and_not_the_end_of_the_run(tmp_path: Path) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a"), batch("b")]))
    driver = NoSlots(day.world)
    driver.slots = StateDir(tmp_path).run(RUN_ID).slots
    report = day.process(driver=driver)
    assert verdicts(report) == {"a": "start_error", "b": "start_error"}
    evidence = report.result()["waves"][0]["containers"][0]["evidence"]
    assert "cannot make" in evidence["daemon_error"]


def test_what_vanished_while_nobody_watched_is_lost(tmp_path: Path) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a", "duration=50")]))
    with pytest.raises(BaseExceptionGroup):
        day.process(driver=GivesUp(day.world))
    for container in day.world.within(Scope(owner=StateDir(tmp_path).owner())):
        day.world.destroy(container)
    assert verdicts(day.process()) == {"a": "lost"}


class FullDisk(SqliteJournal):
    """Takes so many appends, and then none."""

    left = 3

    async def append(self, facts: Sequence[Stamped], *, durable: bool = False) -> None:
        self.left -= 1
        if self.left < 0:
            raise JournalError("journal.db", "the disk is full")
        await super().append(facts, durable=durable)


def test_a_journal_that_fails_in_the_middle_leaves_a_run_that_can_be_gone_on_with(tmp_path: Path) -> None:
    day = BadDay(directory=tmp_path, plan=plan_of([batch("a", "duration=50"), batch("b", "duration=60")]))
    with pytest.raises(BaseExceptionGroup) as caught:
        replace(day, journal=FullDisk).process()
    assert caught.group_contains(JournalError)
    assert "may still run" in _all_notes(caught.value)
    assert verdicts(day.process()) == {"a": "success", "b": "success"}
    assert set(day.world.executions.values()) == {1}
