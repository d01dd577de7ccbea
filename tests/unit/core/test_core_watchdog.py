"""Soft limits and lifetimes in the core: warn once, stop with the finding, and what a resume keeps of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from wavepool.core import decide, events, facts
from wavepool.core.actions import StopAttempt
from wavepool.core.softlimits import Reading, calm, crossings
from wavepool.model import (
    Act,
    AttemptId,
    Bound,
    Finding,
    Limits,
    LogRecord,
    StopReason,
    VerdictKind,
    Watchdog,
    WatchdogRule,
)
from wavepool.units import GIB, MIB

if TYPE_CHECKING:
    from conftest import CoreRun
    from wavepool.model import Task

PIDS = Finding(rule=WatchdogRule.PIDS, reading=210, threshold=200)


def crossed(name: str, act: Act, finding: Finding = PIDS) -> events.Crossed:
    return events.Crossed(attempt=AttemptId(name, 1), finding=finding, act=act)


@pytest.fixture
def running(new_run: Callable[..., CoreRun], make_task: Callable[..., Task]) -> CoreRun:
    run = new_run([make_task("a")])
    run.runs("a")
    return run


def test_a_stop_carries_its_finding_into_the_verdict(running: CoreRun, actions_of: Callable[..., list[object]]) -> None:
    decided = running.feed(crossed("a", Act.STOP))
    (stop,) = actions_of(decided)
    assert isinstance(stop, StopAttempt)
    running.ends("a", VerdictKind.FAILED)
    (settled,) = running.of(facts.AttemptSettled)
    evidence = settled.verdict.evidence
    assert settled.verdict.kind is VerdictKind.WATCHDOG
    assert (evidence.rule, evidence.reading, evidence.threshold) == (WatchdogRule.PIDS, 210, 200)
    assert evidence.stop_reason is StopReason.WATCHDOG
    assert "210 processes" in evidence.reason
    assert "`pids`" in evidence.reason, "the sentence says what to do"


def test_a_warning_stops_nothing(running: CoreRun) -> None:
    decided = running.feed(crossed("a", Act.WARN))
    assert [type(fact) for fact in decided] == [facts.WatchdogWarned]
    running.ends("a")
    assert running.verdict("a") is VerdictKind.SUCCESS


def test_an_exit_that_came_first_stands(running: CoreRun) -> None:
    """The order in the journal decides: a crossing that is read after the exit changes nothing."""
    running.exits("a", VerdictKind.FAILED)
    assert running.feed(crossed("a", Act.STOP)) == []
    running.feed(events.Archived(attempt=AttemptId("a", 1), log=LogRecord()))
    assert running.verdict("a") is VerdictKind.FAILED


def test_an_exit_after_the_stop_is_the_watchdog_s(running: CoreRun) -> None:
    """Even a success: the stop stands in the journal before it."""
    running.feed(crossed("a", Act.STOP))
    running.ends("a", VerdictKind.SUCCESS)
    assert running.verdict("a") is VerdictKind.WATCHDOG


def test_a_second_finding_does_not_replace_the_first(running: CoreRun) -> None:
    running.feed(crossed("a", Act.STOP))
    other = Finding(rule=WatchdogRule.MEMORY, reading=5, threshold=4)
    assert running.feed(crossed("a", Act.STOP, other)) == []
    running.crash()
    running.ends("a", VerdictKind.FAILED)
    assert running.of(facts.AttemptSettled)[0].verdict.evidence.rule is WatchdogRule.PIDS


def test_a_forced_interrupt_keeps_the_finding(running: CoreRun) -> None:
    running.feed(crossed("a", Act.STOP))
    running.feed(events.Interrupted(force=True))
    running.ends("a", VerdictKind.FAILED)
    assert running.verdict("a") is VerdictKind.WATCHDOG


def lifetime_run(new_run: Callable[..., CoreRun], make_task: Callable[..., Task], soft: Bound | None) -> CoreRun:
    limits = Limits(memory_bytes=GIB, lifetime_s=100)
    task = make_task("a", watchdog=Watchdog(lifetime_s=soft))
    run = new_run([type(task)(id="a", key="a", wave=1, tier=1, limits=limits, watchdog=task.watchdog)])
    run.at(5)
    run.runs("a")
    return run


def test_the_hard_lifetime_stops(new_run: Callable[..., CoreRun], make_task: Callable[..., Task]) -> None:
    run = lifetime_run(new_run, make_task, None)
    assert run.at(104.9) == []
    (stop,) = run.at(105.5)
    assert stop.reason is StopReason.WATCHDOG
    assert stop.finding == Finding(rule=WatchdogRule.LIFETIME, reading=100.5, threshold=100)


def test_the_soft_lifetime_warns_once_and_the_hard_one_follows(
    new_run: Callable[..., CoreRun], make_task: Callable[..., Task]
) -> None:
    run = lifetime_run(new_run, make_task, Bound(threshold=60, act=Act.WARN))
    (warned,) = run.at(65)
    assert warned.finding == Finding(rule=WatchdogRule.LIFETIME, reading=60, threshold=60)
    assert run.at(104) == []
    run.crash(shift_s=0)
    assert run.at(104.5) == []
    (stop,) = run.at(105)
    assert stop.finding.threshold == 100


def test_a_soft_lifetime_may_stop(new_run: Callable[..., CoreRun], make_task: Callable[..., Task]) -> None:
    run = lifetime_run(new_run, make_task, Bound(threshold=60, act=Act.STOP))
    (stop,) = run.at(65)
    assert stop.finding.threshold == 60


def test_a_lifetime_survives_a_reboot(new_run: Callable[..., CoreRun], make_task: Callable[..., Task]) -> None:
    run = lifetime_run(new_run, make_task, None)
    run.crash(shift_s=-50)
    assert run.at(54.9) == []
    assert run.at(55) != []


def test_a_lifetime_counts_from_the_attempts_own_start(
    new_run: Callable[..., CoreRun], make_task: Callable[..., Task]
) -> None:
    """It was started, the orchestrator died, and a resume hears of it 40 s later."""
    limits = Limits(memory_bytes=GIB, lifetime_s=100)
    base = make_task("a")
    run = new_run([type(base)(id="a", key="a", wave=1, tier=1, limits=limits)])
    run.crash(shift_s=0)
    run.now_s = 40
    started_at = run.facts[0].at + timedelta(seconds=1)  # type: ignore[union-attr]
    attempt = AttemptId("a", 1)
    run.feed(events.Running(attempt=attempt, handle=run.handle("a"), started_at=started_at))
    assert run.at(100.9) == []
    assert run.at(101) != []


def test_a_clock_of_the_daemon_that_is_hours_behind_shortens_no_lifetime(
    new_run: Callable[..., CoreRun], make_task: Callable[..., Task]
) -> None:
    limits = Limits(memory_bytes=GIB, lifetime_s=100)
    base = make_task("a")
    run = new_run([type(base)(id="a", key="a", wave=1, tier=1, limits=limits)])
    run.now_s = 2
    started_at = run.facts[0].at - timedelta(hours=5)  # type: ignore[union-attr]
    run.feed(events.Running(attempt=AttemptId("a", 1), handle=run.handle("a"), started_at=started_at))
    assert run.at(99) == []
    assert run.at(101) != []


def test_a_wall_clock_that_jumps_ahead_ends_no_lifetime(
    new_run: Callable[..., CoreRun], make_task: Callable[..., Task]
) -> None:
    """UTC is a day later between the intention and the start; the boot clock knows better."""
    base = make_task("a")
    run = new_run([type(base)(id="a", key="a", wave=1, tier=1, limits=Limits(memory_bytes=GIB, lifetime_s=100))])
    started_at = run.facts[0].at  # type: ignore[union-attr]
    now = events.Now(2.0, started_at + timedelta(days=1))
    running = events.Running(attempt=AttemptId("a", 1), handle=run.handle("a"), started_at=started_at)
    for fact in decide.decide(run.state, running, now):
        decide.apply(run.state, fact)
    assert run.at(99) == []
    assert run.at(101) != []


LIMITS = Limits(memory_bytes=100 * MIB, pids=50)
RULES = Watchdog(pids=Bound(threshold=40), memory=Bound(threshold=0.8, act=Act.WARN), no_progress_s=Bound(threshold=10))


@pytest.mark.parametrize(
    ("reading", "found"),
    [
        (Reading(memory_bytes=0, pids=39, quiet_s=9.9), []),
        (Reading(memory_bytes=0, pids=40), [(WatchdogRule.PIDS, 40, 40, Act.STOP)]),
        (Reading(memory_bytes=80 * MIB, pids=1), [(WatchdogRule.MEMORY, 80 * MIB, 80 * MIB, Act.WARN)]),
        (Reading(memory_bytes=80 * MIB - 1, pids=1), []),
        (Reading(memory_bytes=0, pids=1, quiet_s=10), [(WatchdogRule.NO_PROGRESS, 10, 10, Act.STOP)]),
        (Reading(memory_bytes=0, pids=1, quiet_s=None), []),
    ],
)
def test_what_a_reading_crosses(reading: Reading, found: list[tuple[object, ...]]) -> None:
    told = [(c.finding.rule, c.finding.reading, c.finding.threshold, c.act) for c in crossings(RULES, LIMITS, reading)]
    assert told == found


def test_a_rule_is_calm_only_well_below_its_threshold() -> None:
    assert not calm(WatchdogRule.PIDS, RULES, LIMITS, Reading(memory_bytes=0, pids=36))
    assert calm(WatchdogRule.PIDS, RULES, LIMITS, Reading(memory_bytes=0, pids=35))
    assert not calm(WatchdogRule.MEMORY, RULES, LIMITS, Reading(memory_bytes=72 * MIB, pids=0))
    assert calm(WatchdogRule.MEMORY, RULES, LIMITS, Reading(memory_bytes=71 * MIB, pids=0))


def test_a_part_of_no_pids_limit_is_no_threshold() -> None:
    rules = Watchdog(pids=Bound(threshold=0.8))
    assert list(crossings(rules, Limits(memory_bytes=MIB), Reading(memory_bytes=0, pids=9999))) == []
