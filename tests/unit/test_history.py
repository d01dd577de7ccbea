"""What a state directory tells about its runs: live, dead, ended, damaged, and what never began."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from wavepool.core.facts import (
    AttemptSettled,
    Fact,
    Outcome,
    RunFinished,
    RunInterrupted,
    RunOpened,
    RunPaused,
    RunResumed,
    RunStopped,
    Stamped,
    TaskRequeued,
    TasksAdded,
    TaskSettled,
    TaskSkipped,
)
from wavepool.engine.history.runs import Standing, UnknownRun, find_run, open_history, summaries
from wavepool.errors import JournalError
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import (
    AttemptId,
    Evidence,
    Limits,
    LogRecord,
    Rules,
    Surroundings,
    Task,
    Verdict,
    VerdictKind,
    Wave,
)
from wavepool.statedir import SPAWN_RECORD, StateDir

START = datetime(2026, 11, 20, 23, 15, 30, tzinfo=UTC)


def opened(run_id: str) -> RunOpened:
    around = Surroundings(image="i", workspace="/w", network="n")
    return RunOpened(
        run_id=run_id,
        owner="o",
        rules=Rules(nodes=()),
        surroundings=around,
        driver="docker",
        execution_mode="docker",
        plan_digest="d",
        boot_id="b",
        at=START,
    )


def added(*ids: str) -> TasksAdded:
    tasks = tuple(Task(id=each, key=each, wave=1, tier=1, limits=Limits(memory_bytes=1)) for each in ids)
    return TasksAdded(waves=(Wave(number=1),), tasks=tasks)


def settled(task_id: str, number: int, kind: VerdictKind) -> AttemptSettled:
    verdict = Verdict(kind=kind, exit_code=None, evidence=Evidence())
    return AttemptSettled(
        attempt=AttemptId(task_id, number), verdict=verdict, log=LogRecord(), started_at=None, finished_at=None
    )


def write(state_dir: StateDir, run_id: str, *what: Fact) -> None:
    """A run of these facts, one a second, whose process is gone."""
    files = state_dir.run(run_id)
    files.create()
    stamped = [Stamped(n, START + timedelta(seconds=n), fact) for n, fact in enumerate(what)]

    async def append() -> None:
        async with SqliteJournal(files.journal, owner="o", run_id=run_id) as journal:
            await journal.append(stamped)

    anyio.run(append)


@pytest.fixture
def state_dir(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state")


def test_a_state_directory_without_runs_has_no_summaries(state_dir: StateDir) -> None:
    assert list(summaries(state_dir)) == []
    assert not state_dir.path.exists()


def test_the_counts_follow_retries_and_skips(state_dir: StateDir) -> None:
    write(
        state_dir,
        "r1",
        opened("r1"),
        added("a", "b", "c", "d"),
        settled("a", 1, VerdictKind.LOST),
        TaskRequeued(task_id="a", not_before_s=0.0, because="lost"),
        settled("b", 1, VerdictKind.TIMEOUT),
        TaskSettled(task_id="b"),
        TaskSkipped(task_id="c", cause="b"),
        settled("a", 2, VerdictKind.SUCCESS),
        TaskSettled(task_id="a"),
    )
    (only,) = summaries(state_dir)
    assert (only.total, only.done, only.failed) == (4, 3, 2)
    assert only.standing is Standing.UNFINISHED
    assert only.resume == "wavepool resume r1"
    assert (only.started_at, only.took_s, only.driver) == (START, 8.0, "docker")
    assert only.size_bytes > 4096


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_outcome_stands_until_the_run_is_taken_up_again(state_dir: StateDir, outcome: Outcome) -> None:
    ended = RunFinished(outcome=outcome, at=START + timedelta(minutes=5))
    write(state_dir, "ended", opened("ended"), added("a"), ended)
    write(state_dir, "resumed", opened("resumed"), ended, RunResumed(boot_id="b", shift_s=0.0, at=START))
    first, second = summaries(state_dir)
    assert first.standing == outcome.value
    assert first.standing is open_history(state_dir, "ended").standing()
    assert first.since_start_s == 300
    assert (first.resume is None) == (outcome in (Outcome.SUCCESS, Outcome.FAILED))
    assert second.standing is Standing.UNFINISHED is open_history(state_dir, "resumed").standing()


def test_a_held_lock_makes_it_live_whatever_its_facts_say(state_dir: StateDir) -> None:
    write(state_dir, "r1", opened("r1"), RunFinished(outcome=Outcome.SUCCESS, at=START))
    with state_dir.run("r1").lock():
        (only,) = summaries(state_dir)
        assert only.standing is Standing.LIVE is open_history(state_dir, "r1").standing()
        assert only.resume is None
    assert open_history(state_dir, "r1").standing() is Standing.SUCCESS


def test_what_has_no_journal_was_spawned_or_never_began(state_dir: StateDir) -> None:
    state_dir.run("empty").create()
    write(state_dir, "no-fact")
    spawned = state_dir.run("spawned")
    spawned.create()
    (spawned.artifacts / SPAWN_RECORD).write_text("{}")
    assert [each.standing for each in summaries(state_dir)] == [Standing.EMPTY, Standing.EMPTY, Standing.SPAWNED]


def test_a_damaged_journal_is_one_line_of_the_list(state_dir: StateDir) -> None:
    for run_id in ("r1", "r2", "r3"):
        write(state_dir, run_id, opened(run_id), RunFinished(outcome=Outcome.SUCCESS, at=START))
    journal = state_dir.run("r2").journal
    journal.write_bytes(journal.read_bytes()[:5000])
    first, second, third = summaries(state_dir)
    assert (first.standing, second.standing, third.standing) == (
        Standing.SUCCESS,
        Standing.DAMAGED,
        Standing.SUCCESS,
    )
    assert second.problem is not None
    assert "damaged" in second.problem
    assert second.size_bytes > 0
    with pytest.raises(JournalError, match="damaged"):
        open_history(state_dir, "r2").standing()


def test_an_unknown_run_is_bad_input(state_dir: StateDir) -> None:
    with pytest.raises(UnknownRun, match="no run 'r9'") as caught:
        open_history(state_dir, "r9")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "end",
    [
        RunInterrupted(force=False),
        RunStopped(cause="too many failed", infrastructure=False),
        RunStopped(cause="the daemon failed", infrastructure=True),
        RunFinished(outcome=Outcome.FAILED, at=START),
    ],
)
def test_the_pause_of_a_run_that_is_ending_is_not_told(state_dir: StateDir, end: Fact) -> None:
    paused = RunPaused(at_s=1.0, at=START)
    write(state_dir, "ending", opened("ending"), added("a"), paused, end)
    write(state_dir, "paused", opened("paused"), added("a"), paused)
    with state_dir.run("ending").lock(), state_dir.run("paused").lock():
        assert [each.paused_at for each in summaries(state_dir)] == [None, START]


def test_no_session_of_a_pool_is_named_as_a_run(state_dir: StateDir) -> None:
    state_dir.run("pool-1").create()
    with pytest.raises(UnknownRun) as none:
        open_history(state_dir, "pool-2")
    assert "There is none yet" in none.value.advice
    write(state_dir, "pool-cue", opened("pool-cue"))
    with pytest.raises(UnknownRun) as caught:
        open_history(state_dir, "pool-2")
    assert caught.value.advice == "Is it pool-cue?"


def test_the_latest_run_and_a_start_of_an_id_are_of_no_pools_session(state_dir: StateDir) -> None:
    """`wavepool serve` goes on beside the runs that it shows: its session is mostly newer than they are."""
    write(state_dir, "pool-cue", opened("pool-cue"))
    state_dir.run("pool-20991231").create()
    assert find_run(state_dir, "latest").id == "pool-cue"
    assert find_run(state_dir, "pool").id == "pool-cue"
    assert find_run(state_dir, "pool-20991231").id == "pool-20991231"


def test_a_follower_reads_what_is_new(state_dir: StateDir) -> None:
    write(state_dir, "r1", opened("r1"), added("a"), TaskSkipped(task_id="a", cause="x"))
    history = open_history(state_dir, "r1")
    assert history.committed() == 3
    assert [type(each.fact).__name__ for each in history.facts(2)] == ["TasksAdded", "TaskSkipped"]
    assert list(history.facts(4)) == []
