"""The watchdog's loop in virtual time: what it tells, when, how often, and that no failure ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio

from wavepool.core import decide, facts
from wavepool.core.events import Crossed, Event
from wavepool.core.state import RunState
from wavepool.drivers.base import Handle, LogChunk, Usage
from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.engine.watching.watchdog import INTERVAL_S, READ_DEADLINE_S, REST_MAX_S, WatchdogLoop
from wavepool.errors import DriverUnavailable
from wavepool.model import (
    Act,
    AttemptId,
    Bound,
    Ending,
    Evidence,
    Limits,
    Node,
    Resources,
    Rules,
    Surroundings,
    Task,
    VerdictKind,
    Watchdog,
    WatchdogRule,
    Wave,
)
from wavepool.testing.virtual_time import run_virtual
from wavepool.testing.whole_runs import VirtualClock
from wavepool.units import GIB, MIB

AT = datetime(2030, 1, 1, tzinfo=UTC)
Told = list[tuple[float, Crossed]]


class ScriptedDriver(MemoryDriver):
    """Reads what a script says of the second that has come; `wrote_at` are the seconds of output."""

    def __init__(self, usage_at: Callable[[float], Usage], wrote_at: Collection[float] = ()) -> None:
        super().__init__(MemoryWorld())
        self.usage_at = usage_at
        self.wrote_at = wrote_at
        self.listened = 0
        self.reads = 0

    async def usage(self, handles: Collection[Handle]) -> dict[Handle, Usage]:
        self.reads += 1
        return {handle: self.usage_at(anyio.current_time()) for handle in handles}

    @asynccontextmanager
    async def logs(self, handle: Handle, since: datetime | None = None) -> AsyncIterator[AsyncIterator[LogChunk]]:
        self.listened += 1
        now_s, now = anyio.current_time(), VirtualClock().now().utc
        assert since is not None
        asked_from_s = now_s - (now - since).total_seconds()

        async def chunks() -> AsyncIterator[LogChunk]:
            if any(asked_from_s <= at_s <= now_s for at_s in self.wrote_at):
                yield LogChunk(stream="stdout", data=b"x")
            await anyio.sleep_forever()

        yield chunks()


def usage(*, memory: int = 0, pids: int = 1, cpu_s: float = 0.0) -> Usage:
    return Usage(memory_bytes=memory, memory_limit_bytes=GIB, memory_peak_bytes=None, pids=pids, cpu_s=cpu_s)


def state_of(rules: Watchdog, tasks: int = 1) -> RunState:
    """`tasks` tasks of 1 GiB and 100 pids, all running."""
    node = Node(name="n", capacity=Resources(100 * GIB))
    opened = facts.RunOpened(
        run_id="r",
        owner="o",
        rules=Rules(nodes=(node,), watchdog=rules),
        surroundings=Surroundings(image="i", workspace="/w", network="n"),
        driver="memory",
        execution_mode="docker",
        plan_digest="",
        boot_id="b",
        at=AT,
    )
    state = decide.open_run(opened)
    limits = Limits(memory_bytes=GIB, pids=100)
    added = [Task(id=f"t{n}", key=f"t{n}", wave=1, tier=1, limits=limits) for n in range(tasks)]
    decide.apply(state, facts.TasksAdded(waves=(Wave(number=1),), tasks=tuple(added)))
    for task in added:
        attempt = AttemptId(task.id, 1)
        handle = Handle(driver="memory", id=task.id, name=task.id, attempt=attempt)
        held = Resources(GIB)
        decide.apply(state, facts.StartIntended(attempt=attempt, node=0, held=held, at=AT))
        started = facts.AttemptStarted(attempt=attempt, handle=handle, started_at=None, deadline_s=None)
        decide.apply(state, started)
    return state


def watch_for(seconds: float, driver: MemoryDriver, rules: Watchdog, state: RunState | None = None) -> Told:
    """What it told in so many virtual seconds, each with its second; readings begin at 0."""
    told: Told = []
    state = state or state_of(rules)

    async def main() -> None:
        begin_s = anyio.current_time()

        async def tell(event: Event) -> None:
            assert isinstance(event, Crossed)
            told.append((anyio.current_time() - begin_s, event))

        loop = WatchdogLoop(state=state, driver=driver, clock=VirtualClock(), tell=tell)
        if isinstance(driver, ScriptedDriver):
            script, written = driver.usage_at, driver.wrote_at
            driver.usage_at = lambda now_s: script(now_s - begin_s)
            driver.wrote_at = [at_s + begin_s for at_s in written]
        with anyio.move_on_after(seconds):
            await loop.run()

    run_virtual(main)
    return told


PIDS = Watchdog(pids=Bound(threshold=80, act=Act.WARN))
QUIET = Watchdog(no_progress_s=Bound(threshold=30, act=Act.STOP))


def test_a_crossing_is_told_once_and_again_after_it_was_calm() -> None:
    counts = {range(5): 10, range(5, 20): 90, range(20, 25): 75, range(25, 30): 85, range(30, 35): 60}

    def pids_at(second: float) -> Usage:
        return usage(pids=next((n for span, n in counts.items() if int(second) in span), 95), cpu_s=second)

    told = watch_for(40, ScriptedDriver(pids_at), PIDS)
    assert [(round(at_s), crossed.finding.reading, crossed.act) for at_s, crossed in told] == [
        (5, 90, Act.WARN),
        (35, 95, Act.WARN),
    ], "75 is not calm: below 80, yet above nine tenths of it"


def test_several_rules_of_one_reading_are_all_told() -> None:
    rules = Watchdog(pids=Bound(threshold=80), memory=Bound(threshold=0.5))
    told = watch_for(3, ScriptedDriver(lambda _: usage(pids=99, memory=600 * MIB)), rules)
    assert [crossed.finding.rule for _, crossed in told] == [WatchdogRule.PIDS, WatchdogRule.MEMORY]


def test_no_progress_is_no_cpu_and_no_output() -> None:
    driver = ScriptedDriver(lambda second: usage(cpu_s=min(second, 10)))
    ((at_s, crossed),) = watch_for(60, driver, QUIET)
    assert crossed.finding.rule is WatchdogRule.NO_PROGRESS
    assert 40 <= at_s <= 44
    assert 30 <= crossed.finding.reading <= 34
    assert driver.listened == 1, "output is asked about only once the CPU was quiet for long enough"


def test_output_without_cpu_is_progress() -> None:
    driver = ScriptedDriver(lambda _: usage(cpu_s=0), wrote_at=[20.5, 45.5, 70.5])
    assert watch_for(95, driver, QUIET) == []
    ((at_s, _),) = watch_for(140, ScriptedDriver(lambda _: usage(), wrote_at=[20.5, 45.5, 70.5]), QUIET)
    assert at_s > 90


def test_ticking_while_waiting_is_no_progress() -> None:
    driver = ScriptedDriver(lambda second: usage(cpu_s=second * 0.0005))
    assert [crossed.finding.rule for _, crossed in watch_for(40, driver, QUIET)] == [WatchdogRule.NO_PROGRESS]


def test_work_is_progress() -> None:
    assert watch_for(200, ScriptedDriver(lambda second: usage(cpu_s=second * 0.01)), QUIET) == []


def test_a_gap_in_which_nobody_watched_is_not_held_against_a_task() -> None:
    """The orchestrator was suspended, or the machine slept: here for eleven seconds, in the reading's way."""
    driver = ScriptedDriver(lambda _: usage())

    async def read(handles: Collection[Handle]) -> dict[Handle, Usage]:
        driver.reads += 1
        if driver.reads == 3:
            asyncio.get_running_loop().jump(11)  # type: ignore[attr-defined]
        return {handle: usage() for handle in handles}

    driver.usage = read  # type: ignore[method-assign]
    ((at_s, _),) = watch_for(60, driver, Watchdog(no_progress_s=Bound(threshold=9)))
    assert at_s > 9 + 10


def test_a_failed_reading_is_logged_once_and_ends_nothing(logged: Sequence[Mapping[str, Any]]) -> None:
    driver = ScriptedDriver(lambda second: usage(pids=90 if second > 50 else 1))
    plain = driver.usage

    async def failing(handles: Collection[Handle]) -> dict[Handle, Usage]:
        if driver.reads < 20:
            driver.reads += 1
            raise DriverUnavailable("away") if driver.reads % 2 else RuntimeError("odd")
        return await plain(handles)

    driver.usage = failing  # type: ignore[method-assign]
    told = watch_for(60, driver, PIDS)
    assert len(told) == 1
    assert [entry["log_level"] for entry in logged] == ["warning", "info"]


def test_a_hung_reading_is_given_up() -> None:
    driver = ScriptedDriver(lambda _: usage(pids=90))
    plain = driver.usage

    async def hung(handles: Collection[Handle]) -> dict[Handle, Usage]:
        if driver.reads == 0:
            driver.reads += 1
            await anyio.sleep_forever()
        return await plain(handles)

    driver.usage = hung  # type: ignore[method-assign]
    told = watch_for(READ_DEADLINE_S * 6, driver, PIDS)
    assert [round(at_s) for at_s, _ in told] == [round(READ_DEADLINE_S + REST_MAX_S)], "and it rests after a slow sweep"


def test_what_was_warned_of_before_a_resume_is_not_told_again() -> None:
    state = state_of(PIDS)
    warned = facts.WatchdogWarned(
        attempt=AttemptId("t0", 1),
        finding=Crossed(attempt=AttemptId("t0", 1), finding=_finding(90), act=Act.WARN).finding,
        at=AT,
    )
    decide.apply(state, warned)
    assert watch_for(10, ScriptedDriver(lambda _: usage(pids=90)), PIDS, state) == []


def test_without_rules_nothing_is_read() -> None:
    driver = ScriptedDriver(lambda _: usage())
    watch_for(100, driver, Watchdog())
    assert driver.reads == 0


def test_many_attempts_are_one_reading() -> None:
    driver = ScriptedDriver(lambda _: usage(pids=99))
    told = watch_for(3 * INTERVAL_S - 0.5, driver, PIDS, state_of(PIDS, tasks=100))
    assert len({crossed.attempt for _, crossed in told}) == len(told) == 100
    assert driver.reads == 3


def test_the_peak_of_its_readings_becomes_evidence_where_the_driver_has_none_or_a_lower_one() -> None:
    state, attempt = state_of(PIDS), AttemptId("t0", 1)
    driver = ScriptedDriver(lambda _: usage(memory=7 * MIB))

    async def tell(event: Event) -> None:
        raise AssertionError(event)

    async def main() -> None:
        loop = WatchdogLoop(state=state, driver=driver, clock=VirtualClock(), tell=tell)
        with anyio.move_on_after(2):
            await loop.run()
        bare = Ending(kind=VerdictKind.SUCCESS, evidence=Evidence())
        assert loop.with_peak(attempt, bare).evidence.memory_peak_bytes == 7 * MIB
        lower = Ending(kind=VerdictKind.SUCCESS, evidence=Evidence(memory_peak_bytes=9))
        assert loop.with_peak(attempt, lower).evidence.memory_peak_bytes == 7 * MIB
        higher = Ending(kind=VerdictKind.SUCCESS, evidence=Evidence(memory_peak_bytes=8 * MIB))
        assert loop.with_peak(attempt, higher) is higher

    run_virtual(main)


def _finding(pids: int) -> facts.Finding:
    return facts.Finding(rule=WatchdogRule.PIDS, reading=pids, threshold=80)
