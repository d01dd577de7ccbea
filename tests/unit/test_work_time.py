"""How long a run was worked on: one measure, the same in every place that tells it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from wavepool.cli.summary import print_summary
from wavepool.core import facts
from wavepool.core.events import Now
from wavepool.core.facts import Fact, Outcome, Stamped
from wavepool.engine.clock import Clock
from wavepool.engine.report import RunReport
from wavepool.engine.worktime import WorkTime
from wavepool.listeners.plain import PlainListener
from wavepool.listeners.progress import Progress
from wavepool.listeners.wording import took
from wavepool.model import (
    AttemptId,
    Ending,
    Evidence,
    Limits,
    Node,
    Resources,
    Rules,
    Surroundings,
    Task,
    VerdictKind,
    Wave,
)
from wavepool.monitoring.runs.entries import wave_entry
from wavepool.units import GIB

START = datetime(2030, 1, 1, tzinfo=UTC)


class AtTheEnd(Clock):
    """The moment after the last fact."""

    @property
    def boot_id(self) -> str:
        return "second"

    def now(self) -> Now:
        return Now(9.0, START + timedelta(seconds=104))


def opened() -> Fact:
    return facts.RunOpened(
        run_id="r", owner="o", rules=Rules(nodes=(Node(name="n", capacity=Resources(GIB)),)),
        surroundings=Surroundings(image="i", workspace="/w", network="n"), driver="docker", execution_mode="docker",
        plan_digest="", boot_id="first", at=START,
    )  # fmt: skip


def added() -> Fact:
    task = Task(id="a", key="a", wave=1, tier=1, limits=Limits(memory_bytes=GIB))
    return facts.TasksAdded(waves=(Wave(number=1),), tasks=(task,))


@pytest.fixture
def journal() -> list[Stamped]:
    """A wave that fails after 4 s of 5, is opened again 95 s later on a host that was booted anew, and takes 3 s."""
    told: list[Stamped] = []

    def at(boot_s: float, wall_s: float, *some: Fact) -> None:
        told.extend(Stamped(fact=each, boot_s=boot_s, utc=START + timedelta(seconds=wall_s)) for each in some)

    def moment(wall_s: float) -> datetime:
        return START + timedelta(seconds=wall_s)

    at(1000, 0, opened(), added())
    at(1001, 1, facts.WaveOpened(wave=1, deadline_s=None, at=moment(1)))
    at(1005, 5, facts.WaveSettled(wave=1, at=moment(5)), facts.RunFinished(outcome=Outcome.FAILED, at=moment(5)))
    at(5, 100, facts.RunReopened(tasks=("a",), waiting=(), at=moment(100)))
    at(5, 100, facts.RunResumed(boot_id="second", shift_s=0.0, at=moment(100)))
    at(6, 101, facts.WaveOpened(wave=1, deadline_s=None, at=moment(101)))
    at(9, 104, facts.WaveSettled(wave=1, at=moment(104)), facts.RunFinished(outcome=Outcome.SUCCESS, at=moment(104)))
    return told


def test_gaps_in_which_nothing_ran_count_for_nothing_and_each_opening_of_a_wave_counts(journal: list[Stamped]) -> None:
    work = WorkTime()
    for stamped in journal:
        work.take(stamped)
    assert (work.seconds, work.sessions, work.wave_s(1), work.wave_s(2)) == (9.0, 2, 7.0, None)
    assert work.at(12.0) == 12.0


def test_a_wave_that_is_opened_again_waits_for_that_and_counts_what_it_took_before(journal: list[Stamped]) -> None:
    progress = Progress()
    seen = []
    for stamped in journal:
        progress.take(stamped)
        if progress.waves:
            seen.append(wave_entry(progress.waves[1]))
    reopened, opened_again, over = seen[4], seen[-3], seen[-1]
    assert (reopened["state"], reopened["took_before_s"]) == ("waiting", 4.0)
    assert (opened_again["state"], opened_again["took_before_s"]) == ("open", 4.0)
    assert opened_again["reopened_at"] > opened_again["opened_at"]
    assert (over["state"], over["took_s"], "took_before_s" in over) == ("settled", 7.0, False)


def test_a_wave_that_is_open_counts_until_the_last_fact(journal: list[Stamped]) -> None:
    work = WorkTime()
    for stamped in journal[:3]:
        work.take(stamped)
    assert work.wave_s(1) == 0.0
    work.take(Stamped(fact=facts.TaskSettled(task_id="a"), boot_s=1003.0, utc=START))
    assert work.wave_s(1) == 2.0


def test_time_without_a_process_counts_where_attempts_were_left_running() -> None:
    """Killed at 3 s, resumed 20 s later by the wall on a host that was booted anew; the container had run on."""
    attempt = AttemptId("a", 1)
    start = facts.StartIntended(attempt=attempt, node=0, held=Resources(GIB), at=START)
    resumed = facts.RunResumed(boot_id="second", shift_s=0.0, at=START)
    ending = Ending(kind=VerdictKind.SUCCESS, evidence=Evidence())
    work = WorkTime()
    for fact, boot_s, wall_s in (
        (opened(), 1000.0, 0),
        (facts.WaveOpened(wave=1, deadline_s=None, at=START), 1000.0, 0),
        (start, 1003.0, 3),
        (resumed, 7.0, 23),
        (facts.AttemptExited(attempt=attempt, ending=ending, archive=True), 8.0, 24),
        (resumed, 100.0, 500),
        (facts.WaveSettled(wave=1, at=START), 101.0, 501),
    ):
        work.take(Stamped(fact=fact, boot_s=boot_s, utc=START + timedelta(seconds=wall_s)))
    assert (work.seconds, work.wave_s(1), work.sessions) == (25.0, 25.0, 3)


def test_lines_result_and_summary_agree(journal: list[Stamped], tmp_path: Path) -> None:
    stream, summary = io.StringIO(), io.StringIO()
    with PlainListener(stream, 5.0, AtTheEnd()) as listener:
        listener.on_facts(journal)
    result = RunReport.of(journal).result()
    assert (result["duration_s"], result["since_start_s"], result["waves"][0]["duration_s"]) == (9.0, 104.0, 7.0)
    said = stream.getvalue()
    assert "wave 1 settled after 4.0s: " in said
    assert "run finished after 5.0s: failed." in said
    assert "wave 1 settled after 7.0s of work: " in said
    assert "run finished after 9.0s of work, 1m44s since its start: success." in said
    print_summary(result, Console(file=summary, width=200), state_dir=tmp_path)
    assert "succeeded in 9.0s of work, 1m44s since its start (docker), run r" in summary.getvalue()


def test_both_times_are_told_only_where_they_differ() -> None:
    assert took(6.0, 6.4) == took(6.0) == "6.0s"
    assert took(5.8, 51.0) == "5.8s of work, 51s since its start"


def test_a_run_that_goes_on_while_tasks_are_tried_again_was_worked_on_all_the_time(
    journal: list[Stamped],
) -> None:
    work = WorkTime()
    for stamped in journal[:2]:
        work.take(stamped)
    again = facts.RunReopened(tasks=(), waiting=(), live=True, at=START + timedelta(seconds=50))
    work.take(Stamped(fact=again, boot_s=1050, utc=START + timedelta(seconds=50)))
    assert (work.seconds, work.sessions) == (50.0, 1)
