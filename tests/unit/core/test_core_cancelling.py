"""Single tasks that somebody cancels: they end, their dependents are skipped, and the run goes on with the others."""

from __future__ import annotations

import pytest

from wavepool.core import events, facts
from wavepool.core.actions import StopAttempt
from wavepool.core.slices.reopening import failed_tasks, waiting_for
from wavepool.model import AttemptId, Schedule, StopReason, VerdictKind

CANCELLED, FAILED, SKIPPED, SUCCESS = (
    VerdictKind.CANCELLED,
    VerdictKind.FAILED,
    VerdictKind.SKIPPED,
    VerdictKind.SUCCESS,
)


def cancel(run, *tasks):
    return run.feed(events.Unwanted(tasks=tasks))


@pytest.mark.parametrize("schedule", list(Schedule))
def test_one_that_runs_is_stopped_and_the_run_goes_on_without_keep_going(new_run, make_task, actions_of, schedule):
    tasks = [make_task("a"), make_task("b"), make_task("needs-a", depends_on=("a",)), make_task("c", wave=2)]
    run = new_run(tasks, schedule=schedule, parallel=2, max_attempts=3, grace_s=7.0)
    run.runs("a")
    run.runs("b")
    decided = cancel(run, "a")
    (stop,) = [each for each in actions_of(decided) if isinstance(each, StopAttempt)]
    assert (stop.attempt, stop.reason, stop.grace_s) == (AttemptId("a", 1), StopReason.CANCELLED, 7.0)
    run.ends("a", FAILED)
    (settled,) = run.of(facts.AttemptSettled)
    assert settled.verdict.kind is CANCELLED
    assert settled.verdict.evidence.reason.startswith("the task was cancelled")
    (skipped,) = run.of(facts.TaskSkipped)
    assert (skipped.task_id, skipped.cause) == ("needs-a", "its dependency 'a' ended as cancelled")
    run.ends("b")
    run.ends("c")
    assert run.of(facts.RunStopped) == []
    assert run.state.outcome is facts.Outcome.FAILED
    assert run.state.verdicts == {SUCCESS: 2, CANCELLED: 1, SKIPPED: 1}
    run.replayed()


def test_one_that_waits_is_skipped_with_all_that_wait_for_it(new_run, make_task):
    tasks = [make_task("a"), make_task("b"), make_task("c", depends_on=("b",)), make_task("d", depends_on=("c",))]
    run = new_run(tasks, parallel=1)
    decided = cancel(run, "d", "b", "b")
    assert [type(fact).__name__ for fact in decided] == ["TasksCancelled", *["TaskSkipped"] * 3]
    causes = {fact.task_id: fact.cause for fact in run.of(facts.TaskSkipped)}
    assert causes == {"d": "it was cancelled", "b": "it was cancelled", "c": "its dependency 'b' ended as cancelled"}
    run.ends("a")
    assert run.state.outcome is facts.Outcome.FAILED
    run.replayed()


def test_one_whose_start_is_under_way_is_stopped_as_soon_as_it_is_known(new_run, make_task, actions_of):
    run = new_run([make_task("a"), make_task("b")])
    assert actions_of(cancel(run, "a")) == []
    (stop,) = actions_of(run.runs("a"))
    assert isinstance(stop, StopAttempt)
    run.ends("a", FAILED)
    assert run.verdict("a") is CANCELLED


def test_one_that_waits_for_another_attempt_has_none(new_run, make_task):
    run = new_run([make_task("a"), make_task("b")], max_attempts=3)
    run.ends("a", FAILED)
    cancel(run, "a")
    assert run.verdict("a") is FAILED, "its last"
    assert run.started(run.at(1000.0)) == []
    run.ends("b")
    assert run.state.outcome is facts.Outcome.FAILED


def test_one_that_has_just_failed_is_not_tried_again(new_run, make_task):
    run = new_run([make_task("a"), make_task("b")], max_attempts=3)
    run.exits("a", FAILED)
    assert [type(fact) for fact in cancel(run, "a")] == [facts.TasksCancelled]
    run.ends("a", FAILED)
    assert run.of(facts.TaskRequeued) == []
    assert run.verdict("a") is FAILED


def test_one_that_was_faster_has_succeeded(new_run, make_task):
    run = new_run([make_task("a"), make_task("needs-a", depends_on=("a",))])
    run.exits("a")
    cancel(run, "a")
    assert "needs-a#1" in run.started(run.ends("a"))
    assert run.verdict("a") is SUCCESS
    run.replayed()


def test_what_has_ended_or_was_cancelled_before_is_left_alone(new_run, make_task):
    run = new_run([make_task("a"), make_task("b"), make_task("c")])
    run.ends("a")
    run.runs("b")
    cancel(run, "b")
    assert cancel(run, "a", "b") == []
    assert [fact.tasks for fact in cancel(run, "a", "b", "c") if isinstance(fact, facts.TasksCancelled)] == [("c",)]


def test_one_that_failed_by_itself_stops_the_run_as_ever(new_run, make_task):
    run = new_run([make_task("a"), make_task("b"), make_task("c", wave=2)], schedule=Schedule.BARRIER)
    cancel(run, "a")
    run.ends("a", FAILED)
    run.ends("b", FAILED)
    assert len(run.of(facts.RunStopped)) == 1
    assert run.verdict("c") is SKIPPED


def test_the_verdict_of_a_cancel_survives_a_crash(new_run, make_task):
    run = new_run([make_task("a"), make_task("b"), make_task("c", wave=2)], schedule=Schedule.BARRIER)
    run.runs("a")
    cancel(run, "a")
    run.crash()
    run.feed(events.AllTold(present=frozenset({AttemptId("a", 1), AttemptId("b", 1)})))
    run.ends("a", FAILED)
    run.ends("b")
    assert "c#1" in run.started()
    assert run.verdict("a") is CANCELLED


def test_it_is_tried_again_only_by_its_name_or_with_all_that_failed(new_run, make_task):
    tasks = [make_task("a"), make_task("b"), make_task("c", depends_on=("b",)), make_task("d")]
    run = new_run(tasks, parallel=1, keep_going=True)
    cancel(run, "b")
    run.ends("a", FAILED)
    assert list(failed_tasks(run.state)) == ["a", "b"]
    assert [entry.task.id for entry in waiting_for(run.state, ["a"])] == []
    assert [entry.task.id for entry in waiting_for(run.state, ["b"])] == ["c"]
    run.feed(events.Reopened(tasks=("b",)))
    assert run.started(run.ends("d")) == ["b#1"]
    assert run.started(run.ends("b")) == ["c#1"]
    run.ends("c", FAILED)
    assert run.state.verdicts == {SUCCESS: 2, FAILED: 2}
    run.replayed()
