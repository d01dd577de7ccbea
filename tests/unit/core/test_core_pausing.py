"""A run that somebody pauses: nothing new starts, what runs goes on, and nothing is lost by it."""

from __future__ import annotations

import pytest

from wavepool.core import events, facts
from wavepool.core.warming import next_step
from wavepool.model import AttemptId, Isolation, Schedule, VerdictKind, Wave

PAUSE, GO_ON = events.Paused(), events.Unpaused()


@pytest.mark.parametrize("schedule", list(Schedule))
def test_what_runs_goes_on_and_the_rest_waits_to_the_end_of_the_pause(new_run, make_task, schedule):
    run = new_run([make_task("a"), make_task("b"), make_task("c", wave=2)], parallel=1, schedule=schedule)
    run.feed(PAUSE)
    run.runs("a")
    decided = run.ends("a")
    assert run.started(decided) == []
    assert run.verdict("a") is VerdictKind.SUCCESS
    assert run.state.outcome is None, "all that ran has ended, and it waits"
    assert (run.state.live, run.state.pending) == ({}, 2)
    run.at(10_000.0)
    assert run.started(run.feed(GO_ON)) == ["b#1"]
    run.ends("b")
    run.ends("c")
    assert run.state.outcome is facts.Outcome.SUCCESS
    run.replayed()


def test_no_wave_opens_meanwhile(new_run, make_task, actions_of):
    run = new_run([make_task("a"), make_task("b", wave=2)], isolation=Isolation.WAVE)
    run.feed(events.WaveReady(wave=1))
    run.feed(PAUSE)
    decided = run.ends("a")
    assert [type(fact) for fact in decided if isinstance(fact, facts.WaveSettled | facts.WaveOpened)] == [
        facts.WaveSettled
    ]
    assert [fact.wave for fact in run.feed(GO_ON) if isinstance(fact, facts.WaveOpened)] == [2]


def test_one_that_has_nothing_left_to_start_ends(new_run, make_task):
    run = new_run([make_task("a")])
    run.feed(PAUSE)
    run.ends("a")
    assert run.state.outcome is facts.Outcome.SUCCESS


def test_asking_twice_decides_nothing_the_second_time(new_run, make_task):
    run = new_run([make_task("a"), make_task("b")], parallel=1)
    assert run.feed(GO_ON) == []
    assert [type(fact) for fact in run.feed(PAUSE, PAUSE)] == [facts.RunPaused]
    assert run.feed(PAUSE) == []
    assert [type(fact) for fact in run.feed(GO_ON, GO_ON)] == [facts.RunUnpaused]
    assert [type(fact) for fact in run.feed(PAUSE, GO_ON)] == [facts.RunPaused, facts.RunUnpaused]
    run.replayed()


def test_the_time_of_a_wave_stands_still_and_that_of_an_attempt_does_not(new_run, make_task):
    tasks = [make_task("a"), make_task("own", timeout_s=30.0), make_task("b")]
    run = new_run(tasks, [Wave(number=1, parallelism=2)], wave_timeout_s=100.0)
    run.runs("a")
    run.runs("own")
    run.now_s = 20.0
    run.feed(PAUSE)
    (stopped,) = [fact for fact in run.at(35.0) if isinstance(fact, facts.StopIntended)]
    assert stopped.attempt == AttemptId("own", 1)
    run.ends("own", VerdictKind.FAILED)
    assert run.state.timers.next_s() is None
    run.at(5000.0)
    run.replayed()
    assert run.started(run.feed(GO_ON)) == ["b#1"]
    assert run.state.timers.next_s() == 5080.0
    assert run.of(facts.WaveTimedOut) == []
    assert isinstance(run.at(5080.0)[0], facts.WaveTimedOut)
    run.replayed()


def test_a_wave_that_settles_meanwhile_has_no_bound_any_more(new_run, make_task):
    run = new_run([make_task("a"), make_task("b", wave=2)], wave_timeout_s=100.0)
    run.feed(PAUSE)
    run.ends("a")
    run.now_s = 50.0
    run.feed(GO_ON)
    assert run.state.timers.next_s() == 150.0, "that of the second wave alone"


@pytest.mark.parametrize("force", [False, True])
def test_ctrl_c_ends_it_as_soon_as_nothing_runs(new_run, make_task, force):
    run = new_run([make_task("a"), make_task("b")], parallel=1)
    run.feed(PAUSE)
    run.runs("a")
    run.feed(events.Interrupted(force=force))
    assert run.state.outcome is None
    run.ends("a", VerdictKind.FAILED if force else VerdictKind.SUCCESS)
    assert run.state.outcome is facts.Outcome.INTERRUPTED
    idle = new_run([make_task("a"), make_task("b")], parallel=1)
    idle.feed(PAUSE)
    idle.ends("a")
    idle.feed(events.Interrupted(force=force))
    assert idle.state.outcome is facts.Outcome.INTERRUPTED


def test_one_that_is_ending_cannot_be_paused(new_run, make_task):
    run = new_run([make_task("a"), make_task("b")], parallel=1)
    run.feed(events.Interrupted(force=False))
    assert run.feed(PAUSE) == []
    stopped = new_run([make_task("a"), make_task("b")], parallel=1)
    stopped.feed(events.DriverFailed(cause="no daemon"))
    assert stopped.feed(PAUSE) == []


def test_another_process_that_takes_it_up_goes_on(new_run, make_task):
    run = new_run([make_task("a"), make_task("b")], parallel=1, wave_timeout_s=100.0)
    run.feed(PAUSE)
    run.ends("a")
    run.now_s = 40.0
    resumed = run.crash(shift_s=-20.0)
    assert [type(fact) for fact in resumed] == [facts.RunResumed, facts.RunUnpaused]
    assert run.state.timers.next_s() == 120.0, "the whole time of its wave, on the new clock"
    assert run.started(run.feed(events.AllTold(present=frozenset()))) == ["b#1"]
    run.replayed()


def test_nothing_is_parked_ahead_meanwhile_and_what_is_parked_stays(new_run, make_task):
    run = new_run([make_task("a"), make_task("b"), make_task("c")], parallel=1, warm=2)
    run.runs("a")
    parked = [AttemptId("b", 1)]
    assert next_step(run.state, parked, [], lambda attempt, task: True) is not None
    run.feed(PAUSE)
    assert next_step(run.state, parked, [], lambda attempt, task: True) is None


def test_what_a_rate_limit_or_a_failure_puts_back_waits_too(new_run, make_task):
    run = new_run([make_task("a"), make_task("b")], max_attempts=2, parallel=1)
    run.feed(PAUSE)
    run.ends("a", VerdictKind.FAILED)
    assert run.started(run.at(1000.0)) == []
    assert run.started(run.feed(GO_ON)) == ["a#2"]
