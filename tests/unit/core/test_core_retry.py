"""Which verdict is tried again, how often, and when."""

from __future__ import annotations

import pytest

from wavepool.core import facts
from wavepool.core.retry import backoff_s
from wavepool.model import Node, Resources, Schedule, VerdictKind
from wavepool.units import GIB

FAILED, START_ERROR, SUCCESS = VerdictKind.FAILED, VerdictKind.START_ERROR, VerdictKind.SUCCESS


def fail_until_final(run, kind=FAILED, **fields):
    """How many attempts `t` has when each one ends so."""
    number = 1
    while True:
        run.ends("t", kind, number, **fields)
        if run.state.outcome is not None:
            return number
        assert run.state.timers.next_s() is not None
        run.at(run.state.timers.next_s())
        number += 1
        assert number < 50, "retried without end"


@pytest.mark.parametrize("max_attempts", [1, 2, 3])
def test_three_means_three_attempts_altogether(new_run, make_task, max_attempts):
    run = new_run([make_task("t")], max_attempts=max_attempts)
    assert fail_until_final(run) == max_attempts
    assert run.verdict("t") is FAILED
    assert run.state.outcome is facts.Outcome.FAILED


def test_start_errors_that_may_pass_are_counted_apart(new_run, make_task):
    run = new_run([make_task("t")], max_attempts=2, start_retries=2)
    run.ends("t", START_ERROR, 1, transient=True)
    run.at(1.0)
    run.ends("t", START_ERROR, 2, transient=True)
    run.at(3.0)
    run.ends("t", FAILED, 3)
    run.at(7.0)
    run.ends("t", SUCCESS, 4)
    assert run.verdict("t") is SUCCESS
    assert [fact.because for fact in run.of(facts.TaskRequeued)] == [
        "start error that may pass (1 of 2 repeats)",
        "start error that may pass (2 of 2 repeats)",
        "failed (attempt 1 of 2)",
    ]


@pytest.mark.parametrize(("max_attempts", "attempts"), [(1, 3), (3, 5)])
def test_start_errors_that_never_pass_come_to_an_end(new_run, make_task, max_attempts, attempts):
    run = new_run([make_task("t")], max_attempts=max_attempts, start_retries=2)
    assert fail_until_final(run, START_ERROR, transient=True) == attempts
    assert run.verdict("t") is START_ERROR


def test_start_errors_for_good_take_an_attempt(new_run, make_task):
    run = new_run([make_task("t")], max_attempts=1, start_retries=2)
    assert fail_until_final(run, START_ERROR, transient=False) == 1


def test_only_verdicts_of_the_policy_are_tried_again(new_run, make_task):
    run = new_run([make_task("t")], max_attempts=3, retry_on=(VerdictKind.OOM,))
    assert fail_until_final(run, FAILED) == 1
    run = new_run([make_task("t")], max_attempts=3, retry_on=(VerdictKind.OOM,))
    assert fail_until_final(run, VerdictKind.OOM) == 3


def test_a_retry_after_a_loss_says_that_it_may_repeat_work(new_run, make_task):
    run = new_run([make_task("t")], max_attempts=2)
    run.ends("t", VerdictKind.LOST, 1)
    run.at(1.0)
    run.ends("t", SUCCESS, 2)
    assert [fact.verdict.evidence.repeats_work for fact in run.of(facts.AttemptSettled)] == [None, True]


def test_backoff_doubles_up_to_half_a_minute():
    assert [backoff_s(attempts) for attempts in (1, 2, 3, 4, 5, 6, 7, 10_000)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_retry_waits_and_lets_others_pass(new_run, make_task):
    nodes = run_nodes(1)
    run = new_run([make_task("t"), make_task("u")], nodes=nodes, max_attempts=2)
    assert run.started() == ["t#1"]
    assert run.started(run.ends("t", FAILED)) == ["u#1"]
    run.ends("u")
    assert run.started(run.at(0.9)) == []
    assert run.started(run.at(1.0)) == ["t#2"]


def test_a_retried_task_stands_in_its_old_place(new_run, make_task):
    run = new_run([make_task(name) for name in "tuvw"], nodes=run_nodes(1), max_attempts=2)
    run.ends("t", FAILED)
    run.at(1.0)
    assert run.started(run.ends("u")) == ["t#2"]


def test_a_stopped_run_retries_nothing(new_run, make_task):
    run = new_run([make_task("t"), make_task("u")], schedule=Schedule.ROLLING, max_attempts=1)
    run.ends("t", FAILED)
    assert run.state.course.stopped is not None
    run.ends("u", START_ERROR, transient=True)
    assert run.state.outcome is facts.Outcome.FAILED
    assert run.verdict("u") is START_ERROR


def run_nodes(gib):
    return (Node(name="n", capacity=Resources(gib * GIB)),)
