"""How well a run used the machine: bounds that hold for every schedule, and are met where nothing was wasted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.core import facts
from wavepool.core.facts import Fact, Stamped
from wavepool.engine.worktime import WorkTime
from wavepool.model import (
    AttemptId,
    Ending,
    Evidence,
    Limits,
    Node,
    Resources,
    Rules,
    Schedule,
    Surroundings,
    Task,
    VerdictKind,
    Wave,
)
from wavepool.monitoring.runs.efficiency import EfficiencyFold
from wavepool.testing.simulation import Simulation
from wavepool.testing.simulation.scenarios import random_scenario

START = datetime(2026, 11, 20, 23, 15, 30, tzinfo=UTC)
BUDGET = 8


@dataclass(frozen=True, kw_only=True)
class Job:
    """One task: seconds of its one attempt, what it holds, and the jobs before it."""

    wave: int = 1
    took_s: int
    held: int = 1
    after: tuple[int, ...] = ()


def folded(jobs: list[Job], starts: list[int], *, schedule: Schedule, parallelism: int | None = None) -> EfficiencyFold:
    """As the facts of a run tell it in which job n starts at `starts[n]`."""
    work = WorkTime()
    fold = EfficiencyFold(work)
    for at_s, fact in told(jobs, starts, schedule, parallelism):
        stamped = Stamped(float(at_s), START + timedelta(seconds=at_s), fact)
        work.take(stamped)
        fold.take(stamped)
    return fold


def told(jobs: list[Job], starts: list[int], schedule: Schedule, parallelism: int | None) -> list[tuple[int, Fact]]:
    rules = Rules(schedule=schedule, nodes=(Node(name="n", capacity=Resources(BUDGET)),))
    around = Surroundings(image="i", workspace="/w", network="n")
    opened = facts.RunOpened(
        run_id="r", owner="o", rules=rules, surroundings=around, driver="memory", execution_mode="docker",
        plan_digest="d", boot_id="b", at=START,
    )  # fmt: skip
    waves = tuple(Wave(number=n, parallelism=parallelism) for n in sorted({job.wave for job in jobs}))
    tasks = tuple(
        Task(
            id=f"t{n}", key=f"t{n}", wave=job.wave, tier=1, limits=Limits(memory_bytes=job.held),
            depends_on=tuple(f"t{before}" for before in job.after),
        )
        for n, job in enumerate(jobs)
    )  # fmt: skip
    ending = Ending(kind=VerdictKind.SUCCESS, evidence=Evidence())
    moments: list[tuple[int, int, Fact]] = []
    for n, (job, start_s) in enumerate(zip(jobs, starts, strict=True)):
        attempt = AttemptId(f"t{n}", 1)
        intended = facts.StartIntended(attempt=attempt, node=0, held=Resources(job.held), at=START)
        moments.append((start_s, 1, intended))
        moments.append((start_s + job.took_s, 0, facts.AttemptExited(attempt=attempt, ending=ending, archive=True)))
    ordered = [(at_s, fact) for at_s, _, fact in sorted(moments, key=lambda each: each[:2])]
    return [(0, opened), (0, facts.TasksAdded(waves=waves, tasks=tasks)), *ordered]


def scheduled(jobs: list[Job], *, barrier: bool, parallelism: int | None) -> list[int]:
    """Start times of a schedule that keeps every rule: each job as early as it may, in their order."""
    starts: list[int] = []
    for n, job in enumerate(jobs):
        at_s = max((starts[before] + jobs[before].took_s for before in job.after), default=0)
        if barrier:
            earlier = [start + jobs[k].took_s for k, start in enumerate(starts) if jobs[k].wave < job.wave]
            at_s = max([at_s, *earlier])
        while not fits(jobs[:n], starts, job, at_s, parallelism):
            at_s += 1
        starts.append(at_s)
    return starts


def fits(placed: list[Job], starts: list[int], job: Job, at_s: int, parallelism: int | None) -> bool:
    for moment in range(at_s, at_s + job.took_s):
        there = [each for each, start in zip(placed, starts, strict=True) if start <= moment < start + each.took_s]
        if sum(each.held for each in there) + job.held > BUDGET:
            return False
        if parallelism is not None and sum(each.wave == job.wave for each in there) >= parallelism:
            return False
    return True


@st.composite
def jobs_of(draw: st.DrawFn) -> list[Job]:
    jobs: list[Job] = []
    for n in range(draw(st.integers(1, 7))):
        wave = draw(st.integers(jobs[-1].wave if jobs else 1, (jobs[-1].wave if jobs else 1) + 1))
        after = draw(st.sets(st.integers(0, n - 1), max_size=2)) if n else set()
        took_s, held = draw(st.integers(1, 6)), draw(st.integers(1, BUDGET))
        jobs.append(Job(wave=wave, took_s=took_s, held=held, after=tuple(sorted(after))))
    return jobs


@given(jobs=jobs_of(), barrier=st.booleans(), parallelism=st.sampled_from([None, 1, 2]))
def test_no_schedule_that_keeps_the_rules_beats_the_bound(
    jobs: list[Job], barrier: bool, parallelism: int | None
) -> None:
    schedule = Schedule.BARRIER if barrier else Schedule.ROLLING
    starts = scheduled(jobs, barrier=barrier, parallelism=parallelism)
    makespan_s = max(start + job.took_s for start, job in zip(starts, jobs, strict=True))
    fold = folded(jobs, starts, schedule=schedule, parallelism=parallelism)
    bound_s = fold.lower_bound_s(makespan_s)
    assert max(job.took_s for job in jobs) <= bound_s + 1e-9
    assert bound_s <= makespan_s + 1e-9
    reading = fold.reading(makespan_s)
    assert reading["work_s"] == sum(job.took_s for job in jobs)
    assert reading["speed_up"] <= reading["peak"] <= len(jobs)
    # It depends on the attempts, not on the schedule: one after the other gives the same bound.
    one_by_one = [sum(job.took_s for job in jobs[:n]) for n in range(len(jobs))]
    again = folded(jobs, one_by_one, schedule=schedule, parallelism=parallelism)
    assert again.lower_bound_s(sum(job.took_s for job in jobs)) == pytest.approx(bound_s)


@pytest.mark.parametrize(
    ("jobs", "schedule", "parallelism", "bound_s"),
    [
        ([Job(took_s=10, held=5), Job(took_s=10, held=5)], Schedule.ROLLING, None, 12.5),
        ([Job(took_s=10, held=8), Job(took_s=10, held=8)], Schedule.ROLLING, None, 20),
        ([Job(took_s=5), Job(took_s=7, after=(0,))], Schedule.ROLLING, None, 12),
        ([Job(took_s=5, wave=1), Job(took_s=7, wave=2)], Schedule.ROLLING, None, 7),
        ([Job(took_s=5, wave=1), Job(took_s=7, wave=2)], Schedule.BARRIER, None, 12),
        ([Job(took_s=4)] * 3, Schedule.BARRIER, 1, 12),
        ([Job(took_s=4)] * 3, Schedule.ROLLING, 2, 6),
        ([Job(took_s=4, wave=n) for n in (1, 1, 2, 2)], Schedule.BARRIER, 1, 16),
    ],
)
def test_what_bounds_it(jobs: list[Job], schedule: Schedule, parallelism: int | None, bound_s: float) -> None:
    starts = scheduled(jobs, barrier=schedule is Schedule.BARRIER, parallelism=parallelism)
    fold = folded(jobs, starts, schedule=schedule, parallelism=parallelism)
    assert fold.lower_bound_s(1000.0) == pytest.approx(bound_s)


def test_what_runs_counts_as_far_as_it_has_come() -> None:
    fold = folded([Job(took_s=10), Job(took_s=100)], [0, 0], schedule=Schedule.ROLLING)
    assert fold.reading(110.0)["work_s"] == 110
    work = WorkTime()
    half = EfficiencyFold(work)
    for at_s, fact in told([Job(took_s=10), Job(took_s=100)], [0, 0], Schedule.ROLLING, None)[:-1]:
        stamped = Stamped(float(at_s), START, fact)
        work.take(stamped)
        half.take(stamped)
    reading = half.reading(60.0)
    assert (reading["work_s"], reading["peak"], reading["lower_bound_s"]) == (70.0, 2, 60.0)
    assert (reading["speed_up"], reading["efficiency_percent"]) == (1.17, 100.0)


@pytest.mark.parametrize("seed", range(0, 120, 3))
def test_a_run_is_never_faster_than_its_bound(seed: int) -> None:
    """With crashes, retries, pauses, and attempts that went on while no process was at the run."""
    work = WorkTime()
    fold = EfficiencyFold(work)
    active, most, before_s = 0, 0, 0.0
    for stamped in Simulation(random_scenario(seed)).run().journal:
        work.take(stamped)
        fold.take(stamped)
        active += isinstance(stamped.fact, facts.StartIntended) - isinstance(stamped.fact, facts.AttemptExited)
        most = max(most, active)
        bound_s = fold.lower_bound_s(work.seconds)
        assert before_s - 1e-6 <= bound_s <= work.seconds - fold.idle_s(work.seconds) + 1e-6
        assert fold.reading(work.seconds)["peak"] == most
        before_s = bound_s


def test_a_pause_in_which_nothing_runs_is_left_out() -> None:
    jobs = [Job(took_s=10), Job(took_s=10)]
    facts_of = told(jobs, [0, 100], Schedule.ROLLING, 1)
    pauses = [(4, facts.RunPaused(at_s=4, at=START)), (90, facts.RunUnpaused(at_s=90, at=START))]
    work = WorkTime()
    fold = EfficiencyFold(work)
    for at_s, fact in sorted([*facts_of, *pauses], key=lambda each: each[0]):
        stamped = Stamped(float(at_s), START, fact)
        work.take(stamped)
        fold.take(stamped)
        if at_s == 10:  # its one attempt has ended, and it goes on being paused
            assert fold.reading(50.0)["elapsed_s"] == 10
            assert fold.reading(50.0)["efficiency_percent"] == 100
    # From 90 to 100 nobody held it back: that is time that it lost.
    reading = fold.reading(110.0)
    assert (reading["elapsed_s"], reading["work_s"], reading["lower_bound_s"]) == (30, 20, 20)
    assert (reading["speed_up"], reading["efficiency_percent"]) == (0.67, 66.7)
