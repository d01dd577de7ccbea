"""Tasks of a run that are tried again by hand: which ones, in which order, with how many attempts."""

from __future__ import annotations

import pytest

from wavepool.core import events, facts
from wavepool.core.actions import PrepareWave
from wavepool.core.slices.reopening import failed_tasks
from wavepool.model import Isolation, Schedule, VerdictKind, Wave

FAILED, SKIPPED, SUCCESS = VerdictKind.FAILED, VerdictKind.SKIPPED, VerdictKind.SUCCESS


def retry(run, *tasks):
    """As `wavepool retry` does: in one commit with the resume, after a replay."""
    run.state = run.replayed()
    chosen = tasks or tuple(failed_tasks(run.state))
    return run.feed(
        events.Reopened(tasks=chosen), events.Resumed(boot_id="b2", shift_s=0.0), events.AllTold(present=frozenset())
    )


def test_what_failed_runs_again_and_then_what_was_never_reached(new_run, make_task):
    run = new_run([make_task("good"), make_task("bad"), make_task("later", wave=2)])
    run.ends("good")
    run.ends("bad", FAILED)
    assert run.state.outcome is facts.Outcome.FAILED
    assert run.verdict("later") is SKIPPED

    assert run.started(retry(run)) == ["bad#2"]
    assert run.state.outcome is None
    assert run.started(run.ends("bad", number=2)) == ["later#1"]
    run.ends("later")
    assert run.state.outcome is facts.Outcome.SUCCESS
    assert run.state.verdicts == {SUCCESS: 3}
    assert run.state.failures == 0
    run.replayed()


def test_dependents_that_were_skipped_wait_for_it_again(new_run, make_task):
    tasks = [
        make_task("bad"),
        make_task("next", depends_on=("bad",)),
        make_task("last", depends_on=("next",)),
        make_task("worse"),
        make_task("lost", depends_on=("worse", "bad")),
    ]
    run = new_run(tasks, keep_going=True)
    run.ends("bad", FAILED)
    run.ends("worse", FAILED)
    retry(run, "bad")
    (reopened,) = run.of(facts.RunReopened)
    assert (reopened.tasks, reopened.waiting) == (("bad",), ("next", "last"))
    assert run.verdict("lost") is SKIPPED  # what else it depends on is not tried again
    assert run.started(run.ends("bad", number=2)) == ["next#1"]
    assert run.started(run.ends("next")) == ["last#1"]
    run.ends("last")
    assert run.state.outcome is facts.Outcome.FAILED
    assert run.state.verdicts == {SUCCESS: 3, FAILED: 1, SKIPPED: 1}
    run.replayed()


def test_each_time_anew_with_all_attempts_that_the_rules_allow(new_run, make_task):
    run = new_run([make_task("t")], max_attempts=2)
    for first in (1, 3):
        run.ends("t", FAILED, first)
        assert run.state.outcome is None
        run.at(run.state.timers.next_s())
        run.ends("t", FAILED, first + 1)
        assert run.state.outcome is facts.Outcome.FAILED
        if first == 1:
            assert run.started(retry(run)) == ["t#3"]
    assert [str(fact.attempt) for fact in run.of(facts.AttemptSettled)] == ["t#1", "t#2", "t#3", "t#4"]


@pytest.mark.parametrize("isolation", list(Isolation))
def test_waves_are_opened_again_in_their_order_with_their_time(new_run, make_task, actions_of, isolation):
    tasks = [make_task(f"t{wave}", wave=wave) for wave in (1, 2, 3)]
    run = new_run(tasks, keep_going=True, wave_timeout_s=60.0, isolation=isolation)
    ready = [events.WaveReady(wave=1)] if isolation is Isolation.WAVE else []
    run.feed(*ready)
    run.ends("t1", FAILED)
    run.feed(events.WaveReady(wave=2))
    run.ends("t2")
    run.feed(events.WaveReady(wave=3))
    run.ends("t3", FAILED)
    assert run.state.outcome is facts.Outcome.FAILED

    run.now_s = 1000.0
    decided = retry(run)
    assert [(f.wave, f.deadline_s) for f in decided if isinstance(f, facts.WaveOpened)] == [(1, 1060.0)]
    assert PrepareWave(wave=1) in actions_of(decided)
    run.feed(events.WaveReady(wave=1))
    decided = run.ends("t1", number=2)
    assert [fact.wave for fact in decided if isinstance(fact, facts.WaveOpened)] == [3]
    run.feed(events.WaveReady(wave=3))
    run.ends("t3", number=2)
    assert run.state.outcome is facts.Outcome.SUCCESS
    assert [fact.wave for fact in run.of(facts.WaveSettled)] == [1, 2, 3, 1, 3]


def test_a_wave_that_was_out_of_time_has_all_its_rounds_again(new_run, make_task):
    run = new_run([make_task("slow"), make_task("next")], (Wave(number=1, parallelism=1),), wave_timeout_s=10.0)
    run.runs("slow")
    run.at(10.0)
    run.ends("slow", FAILED)
    assert (run.verdict("slow"), run.verdict("next")) == (VerdictKind.TIMEOUT, SKIPPED)
    run.now_s = 100.0
    assert run.started(retry(run)) == ["slow#2"]
    assert run.started(run.ends("slow", number=2)) == ["next#1"]
    run.ends("next")
    assert run.state.outcome is facts.Outcome.SUCCESS


def test_rolling_goes_on_after_the_failure_that_stopped_it(new_run, make_task):
    run = new_run([make_task("bad"), make_task("waits", wave=2, depends_on=("bad",))], schedule=Schedule.ROLLING)
    run.ends("bad", FAILED)
    assert run.state.course.stopped is not None
    assert run.started(retry(run)) == ["bad#2"]
    assert run.started(run.ends("bad", number=2)) == ["waits#1"]
    run.ends("waits")
    assert run.state.outcome is facts.Outcome.SUCCESS


def test_a_run_that_was_still_at_work_goes_on_with_both(new_run, make_task):
    run = new_run([make_task("bad"), make_task("runs")])
    run.runs("runs")
    run.ends("bad", FAILED)
    run.state = run.replayed()
    run.feed(events.Reopened(tasks=("bad",)), events.Resumed(boot_id="b2", shift_s=0.0), advance=False)
    decided = run.feed(events.AllTold(present=frozenset({("runs", 1)})))
    assert run.started(decided) == ["bad#2"]
    run.ends("runs")
    run.ends("bad", number=2)
    assert run.state.outcome is facts.Outcome.SUCCESS
    assert run.of(facts.WaveSettled)[-1].wave == 1
    assert run.started() == ["bad#1", "runs#1", "bad#2"]


def test_where_nothing_failed_nothing_is_reopened(new_run, make_task):
    run = new_run([make_task("t")])
    run.ends("t")
    run.feed(events.Reopened(tasks=tuple(failed_tasks(run.state))))
    assert run.of(facts.RunReopened) == []
    assert run.state.outcome is facts.Outcome.SUCCESS
