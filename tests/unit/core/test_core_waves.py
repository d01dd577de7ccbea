"""Barrier and rolling: what opens, what stops, what is skipped, and what time does to a wave."""

from __future__ import annotations

import pytest

from wavepool.core import facts
from wavepool.core.events import Cleared, WaveReady
from wavepool.core.facts import Outcome
from wavepool.model import AttemptId, Isolation, Node, Resources, Schedule, VerdictKind, Wave
from wavepool.units import GIB

FAILED, SKIPPED, TIMEOUT = VerdictKind.FAILED, VerdictKind.SKIPPED, VerdictKind.TIMEOUT


def test_an_empty_plan_is_a_success(new_run):
    run = new_run([])
    assert run.state.outcome is Outcome.SUCCESS
    assert [type(fact).__name__ for fact in run.facts] == ["RunOpened", "TasksAdded", "RunFinished"]


def test_empty_waves_are_opened_and_settled(new_run, make_task):
    run = new_run([make_task("t", 2)], [Wave(number=1), Wave(number=2), Wave(number=3)])
    run.ends("t")
    assert [fact.wave for fact in run.of(facts.WaveSettled)] == [1, 2, 3]
    assert run.state.outcome is Outcome.SUCCESS


def test_the_next_wave_waits_until_nothing_of_this_one_is_left(new_run, make_task):
    run = new_run([make_task("t"), make_task("u", 2)])
    run.runs("t")
    run.exits("t")
    assert run.started() == ["t#1"]
    assert run.started(run.ends("t")) == ["u#1"]


def test_a_failed_wave_stops_a_barrier_run(new_run, make_task):
    run = new_run([make_task("t"), make_task("u"), make_task("v", 2)])
    run.ends("t", FAILED)
    assert run.state.course.stopped is None, "the rest of the wave goes on"
    run.ends("u")
    assert run.of(facts.RunStopped)[0].cause == "wave 1 ended with 1 of its tasks not successful"
    assert run.state.outcome is Outcome.FAILED
    assert (run.verdict("u"), run.verdict("v")) == (VerdictKind.SUCCESS, SKIPPED)


def test_keep_going_goes_on_after_a_failed_wave(new_run, make_task):
    run = new_run([make_task("t"), make_task("v", 2)], keep_going=True)
    assert run.started(run.ends("t", FAILED)) == ["v#1"]
    run.ends("v")
    assert run.state.outcome is Outcome.FAILED


def test_a_failed_last_wave_is_no_stop(new_run, make_task):
    run = new_run([make_task("t")])
    run.ends("t", FAILED)
    assert run.of(facts.RunStopped) == []
    assert run.state.outcome is Outcome.FAILED


@pytest.mark.parametrize("keep_going", [True, False])
def test_rolling_stops_at_the_first_failure_unless_told(new_run, make_task, keep_going):
    nodes = (Node(name="n", capacity=Resources(2 * GIB)),)
    tasks = [make_task("t"), make_task("u"), make_task("v", 2)]
    run = new_run(tasks, schedule=Schedule.ROLLING, nodes=nodes, keep_going=keep_going)
    assert run.started() == ["t#1", "u#1"]
    run.exits("t", VerdictKind.START_ERROR)
    run.feed(Cleared(attempt=AttemptId("t", 1)))
    assert run.started() == (["t#1", "u#1", "v#1"] if keep_going else ["t#1", "u#1"])
    run.ends("u")
    if keep_going:
        run.ends("v")
    assert run.state.outcome is Outcome.FAILED
    assert run.verdict("v") is (VerdictKind.SUCCESS if keep_going else SKIPPED)


def test_a_skip_reaches_all_that_wait_for_it(new_run, make_task):
    tasks = [
        make_task("a"),
        make_task("b", depends_on=("a",)),
        make_task("c", depends_on=("b",)),
        make_task("d", depends_on=("a", "e")),
        make_task("e"),
    ]
    run = new_run(tasks, keep_going=True)
    run.ends("a", FAILED)
    assert sorted(fact.task_id for fact in run.of(facts.TaskSkipped)) == ["b", "c", "d"]
    causes = {fact.task_id: fact.cause for fact in run.of(facts.TaskSkipped)}
    assert causes["b"] == "its dependency 'a' ended as failed"
    assert causes["c"] == "its dependency 'b' ended as skipped"
    run.ends("e")
    assert run.state.outcome is Outcome.FAILED


def test_a_dependency_that_is_retried_skips_nobody(new_run, make_task):
    run = new_run([make_task("a"), make_task("b", depends_on=("a",))], max_attempts=2)
    run.ends("a", FAILED)
    run.at(1.0)
    assert run.started(run.ends("a", number=2)) == ["b#1"]


def test_a_wave_out_of_time_stops_what_runs_and_skips_the_rest(new_run, make_task):
    nodes = (Node(name="n", capacity=Resources(2 * GIB)),)
    run = new_run([make_task(name) for name in "tuv"], nodes=nodes, wave_timeout_s=60.0)
    run.runs("t")
    assert run.at(59.9) == []
    decided = run.at(60.0)
    assert [str(fact.attempt) for fact in decided if isinstance(fact, facts.StopIntended)] == ["t#1", "u#1"]
    assert [fact.task_id for fact in decided if isinstance(fact, facts.TaskSkipped)] == ["v"]
    run.ends("t", FAILED)
    run.ends("u", VerdictKind.START_ERROR, transient=True)
    assert (run.verdict("t"), run.verdict("u"), run.verdict("v")) == (TIMEOUT, TIMEOUT, SKIPPED)
    assert [fact.verdict.exit_code for fact in run.of(facts.AttemptSettled)] == [124, 124]


def test_with_retries_a_wave_out_of_time_has_another_round(new_run, make_task):
    nodes = (Node(name="n", capacity=Resources(1 * GIB)),)
    run = new_run([make_task("t"), make_task("v")], nodes=nodes, wave_timeout_s=60.0, max_attempts=2)
    run.runs("t")
    assert run.of(facts.TaskSkipped) == []
    run.at(60.0)
    assert run.of(facts.WaveTimedOut)[0].deadline_s == 120.0
    assert run.started(run.ends("t", FAILED)) == ["v#1"]
    run.ends("v")
    run.at(61.0)
    assert run.started() == ["t#1", "v#1", "t#2"]
    run.at(120.0)
    run.ends("t", FAILED, 2)
    assert run.verdict("t") is TIMEOUT
    assert run.state.outcome is Outcome.FAILED


def test_what_a_wave_out_of_time_skips_skips_its_dependents(new_run, make_task):
    nodes = (Node(name="n", capacity=Resources(1 * GIB)),)
    tasks = [make_task("t"), make_task("u"), make_task("v", 2, depends_on=("u",))]
    run = new_run(tasks, nodes=nodes, wave_timeout_s=10.0, keep_going=True)
    run.at(10.0)
    run.ends("t", FAILED)
    assert run.verdict("v") is SKIPPED
    assert run.started() == ["t#1"]


def test_a_task_skipped_while_it_waits_for_its_retry_keeps_its_verdict(new_run, make_task):
    run = new_run([make_task("t")], wave_timeout_s=60.0)
    run.now_s = 59.5
    run.ends("t", VerdictKind.START_ERROR, transient=True)
    assert run.state.pending == 1
    run.at(60.0)
    assert len(run.of(facts.TaskSkipped)) == 1
    assert run.state.verdicts == {VerdictKind.START_ERROR: 1}


def test_isolated_waves_wait_for_their_network(new_run, make_task):
    run = new_run([make_task("t")], isolation=Isolation.WAVE)
    assert run.started() == []
    assert run.started(run.feed(WaveReady(wave=1))) == ["t#1"]
    assert run.feed(WaveReady(wave=1)) == []


def test_a_wave_that_cannot_be_prepared_is_the_machines_fault(new_run, make_task):
    run = new_run([make_task("t")], isolation=Isolation.WAVE)
    run.feed(WaveReady(wave=1, problem="no address left"))
    assert run.state.outcome is Outcome.INFRASTRUCTURE
    assert run.state.pending == 1
    run.crash()
    run.feed(WaveReady(wave=1))
    run.ends("t")
    assert run.state.outcome is Outcome.SUCCESS


def test_rolling_opens_a_wave_that_it_comes_to_by_passing_over(new_run, make_task):
    run = new_run([make_task("t", 1, depends_on=("u",)), make_task("u", 2)], schedule=Schedule.ROLLING)
    assert run.started() == ["u#1"]
    assert [fact.wave for fact in run.of(facts.WaveOpened)] == [1, 2]
