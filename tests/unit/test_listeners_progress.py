"""Figures are checked against the core itself, after every single fact of simulated runs."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from wavepool.core.decide import apply, open_run
from wavepool.core.events import Now
from wavepool.core.facts import AttemptExited, Outcome, RunOpened, RunResumed, Stamped, StartIntended, StartsPaced
from wavepool.engine.clock import SystemClock
from wavepool.listeners.figures import Figures
from wavepool.listeners.heldback import held_back
from wavepool.listeners.plain import PlainListener
from wavepool.listeners.progress import Progress
from wavepool.model import Limits, Node, PressureLevel, Resources, Rules, Schedule, Task, VerdictKind, Wave
from wavepool.testing.simulation import Simulated, Simulation
from wavepool.testing.simulation.scenarios import NO_TROUBLES, Scenario, Troubles, random_scenario
from wavepool.units import GIB


def plain_run(tasks: int, *, parallelism: int, troubles: Troubles = NO_TROUBLES) -> Simulated:
    waves = (Wave(number=1, parallelism=parallelism), Wave(number=2))
    made = tuple(
        Task(id=f"t{n}", key=f"t{n}", wave=1 if n < tasks - 1 else 2, tier=1, limits=Limits(memory_bytes=GIB))
        for n in range(tasks)
    )
    rules = Rules(
        schedule=Schedule.BARRIER, nodes=(Node(name="n", capacity=Resources(100 * GIB)),), keep_going=True, parallel=100
    )
    return Simulation(Scenario(waves=waves, tasks=made, rules=rules, troubles=troubles, seed=5)).run()


@pytest.mark.parametrize("seed", range(0, 120, 3))
def test_agrees_with_the_core_after_every_fact(seed: int) -> None:
    journal = Simulation(random_scenario(seed)).run().journal
    first = journal[0].fact
    assert isinstance(first, RunOpened)
    state, progress = open_run(first), Progress()
    for stamped in journal:
        progress.take(stamped)
        if stamped.fact is not first:
            apply(state, stamped.fact)
        check(progress, state.pending, state.memory_held_bytes(), len(state.order))
        assert progress.outcome == state.outcome
        assert progress.course.stopped == state.course.stopped
        assert progress.course.draining == state.course.draining
        assert progress.course.paused == state.course.paused
    words = dict.fromkeys(("success", "timeout", "failed"), 0)
    for kind, count in state.verdicts.items():
        words[kind if kind in (VerdictKind.SUCCESS, VerdictKind.TIMEOUT) else "failed"] += count
    assert words == {name: getattr(progress.totals, name) for name in words}
    assert progress.totals.cancelled == state.verdicts[VerdictKind.CANCELLED]
    assert progress.totals.skipped == state.verdicts[VerdictKind.SKIPPED]


def check(progress: Progress, pending: int, held_bytes: int, total: int) -> None:
    totals = progress.totals
    assert totals.pending == pending
    assert totals.total == total
    assert progress.held_bytes == held_bytes
    for name in Figures.__slots__:
        assert getattr(totals, name) == sum(getattr(wave, name) for wave in progress.waves.values())
        assert getattr(totals, name) >= 0


def test_the_line_is_the_seeds() -> None:
    progress = Progress()
    progress.take_all(plain_run(29, parallelism=5).journal)
    assert progress.totals.line() == "Running: 0, Completed: 29, Failed: 0, Timeout: 0"


def test_time_left_needs_three_finished_attempts_and_then_comes_near() -> None:
    run = plain_run(41, parallelism=4, troubles=Troubles(duration_s=60.0, latency_s=0.0))
    progress, end_s, errors = Progress(), run.journal[-1].boot_s, []
    for stamped in run.journal:
        progress.take(stamped)
        left_s = progress.time_left_s(Now(stamped.boot_s, stamped.utc))
        ended = progress.totals.ended
        assert left_s is None or ended + progress.totals.running >= 3
        if left_s is not None and 10 <= ended <= 30:
            errors.append(abs(left_s - (end_s - stamped.boot_s)) / (end_s - stamped.boot_s))
    assert errors
    assert sum(errors) / len(errors) < 0.5  # durations are drawn evenly from 0 to 60 s: it cannot know them
    assert progress.time_left_s(Now(end_s, datetime.now(UTC))) is None


def test_no_time_left_is_told_below_one_second() -> None:
    run = plain_run(41, parallelism=4, troubles=Troubles(duration_s=3.0, latency_s=0.0))
    progress, told = Progress(), []
    for stamped in run.journal:
        progress.take(stamped)
        told.append(progress.time_left_s(Now(stamped.boot_s, stamped.utc)))
    assert any(left_s is not None for left_s in told)
    assert all(left_s is None or left_s >= 1.0 for left_s in told)
    assert told[-12:] == [None] * 12


def test_the_time_in_which_nothing_of_the_run_ran_is_not_counted() -> None:
    seen = idle = 0
    for seed in range(400):
        run = Simulation(random_scenario(seed)).run()
        if not any(isinstance(stamped.fact, RunResumed) for stamped in run.journal):
            continue
        seen += 1
        progress, live = Progress(), 0
        for stamped in run.journal:
            live += isinstance(stamped.fact, StartIntended) - isinstance(stamped.fact, AttemptExited)
            before_s = progress.elapsed_s(Now(-1e9, stamped.utc))
            progress.take(stamped)
            after_s = progress.elapsed_s(Now(-1e9, stamped.utc))
            assert after_s >= before_s - 1e-6
            if isinstance(stamped.fact, RunResumed) and not live:
                idle += 1
                assert after_s == pytest.approx(before_s)
        assert progress.elapsed_s(Now(-1e9, run.journal[-1].utc)) <= run.virtual_s + 1e-3
    assert seen > 20
    assert idle > 5


def test_remembers_the_latest_that_did_not_succeed_and_why() -> None:
    progress = Progress()
    progress.take_all(plain_run(60, parallelism=60, troubles=Troubles(fails=0.9)).journal)
    assert progress.outcome is Outcome.FAILED
    assert len(progress.endings.troubled) == progress.endings.troubled.maxlen
    assert {ended.reason for ended in progress.endings.troubled} == {"simulated failed"}
    assert all(ended.log.path is not None for ended in progress.endings.troubled)


def test_starts_that_the_host_s_pressure_holds_back_are_a_state() -> None:
    """Busy: so many at a time. Short of memory: none beside what runs. Told only while tasks wait for that."""
    progress = Progress()
    run = plain_run(8, parallelism=8)
    starts = 0
    for stamped in run.journal:
        progress.take(stamped)
        starts += isinstance(stamped.fact, StartIntended)
        if starts == 2:
            break
    now = Now(stamped.boot_s, stamped.utc)
    assert held_back(progress, now) == []

    def paced(level: PressureLevel, allowed: int, because: str) -> list[str]:
        fact = StartsPaced(allowed=allowed, doubles_to=2, level=level, because=because, at=now.utc)
        progress.take(Stamped(now.boot_s, now.utc, fact))
        return held_back(progress, now)

    assert paced(PressureLevel.BUSY, 2, "tasks waited for a CPU 70% of the time") == [
        "starts are held back, 2 at a time: tasks waited for a CPU 70% of the time"
    ]
    assert paced(PressureLevel.BUSY, 3, "tasks waited for a CPU 70% of the time") == []
    assert paced(PressureLevel.FULL, 1, "95% of the memory is in use") == [
        "starts are held back until memory eases: 95% of the memory is in use"
    ]
    out = io.StringIO()
    with PlainListener(out, 1.0, SystemClock()) as listener:
        listener.progress = progress
        listener.tick()
    assert "; starts are held back until memory eases: 95% of the memory is in use" in out.getvalue()
    assert paced(PressureLevel.EASY, 8, "") == []
