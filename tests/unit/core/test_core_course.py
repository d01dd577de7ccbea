"""Whether a run goes on, as the core and every screen know it."""

from __future__ import annotations

from datetime import UTC, datetime

from wavepool.core import facts
from wavepool.core.course import RunCourse
from wavepool.core.facts import Fact, Outcome

AT = datetime(2026, 1, 2, tzinfo=UTC)
PAUSED = facts.RunPaused(at_s=1.0, at=AT)
RESUMED = facts.RunResumed(boot_id="boot", shift_s=0.0, at=AT)
REOPENED = facts.RunReopened(tasks=("a",), waiting=(), live=False, at=AT)


def course(*told: Fact) -> RunCourse:
    found = RunCourse()
    for fact in told:
        found.take(fact)
    return found


def stopped(cause: str, *, infrastructure: bool = False) -> Fact:
    return facts.RunStopped(cause=cause, infrastructure=infrastructure)


def finished(outcome: Outcome) -> Fact:
    return facts.RunFinished(outcome=outcome, at=AT)


def test_a_pause_lasts_until_somebody_lifts_it_and_is_none_of_a_run_that_is_over():
    assert course(PAUSED).is_paused
    assert not course(PAUSED).is_ending
    assert course(PAUSED, REOPENED).paused == AT
    assert not course(PAUSED, finished(Outcome.SUCCESS)).is_paused
    assert not course(PAUSED, facts.RunUnpaused(at_s=2.0, at=AT)).is_paused


def test_the_first_cause_is_the_one_that_is_told():
    found = course(stopped("task a failed"), stopped("no daemon", infrastructure=True))
    assert (found.stopped, found.infrastructure_failed) == ("task a failed", True)


def test_a_resume_forgives_the_machine_and_the_user_and_no_task():
    end = finished(Outcome.INFRASTRUCTURE)
    again = course(stopped("no daemon", infrastructure=True), end, RESUMED)
    assert (again.stopped, again.outcome, again.finished_at, again.is_ending) == (None, None, None, False)
    drained = course(facts.RunInterrupted(force=True), finished(Outcome.INTERRUPTED), RESUMED)
    assert (drained.draining, drained.forced, drained.outcome) == (False, False, None)
    failed = course(stopped("task a failed"), facts.RunInterrupted(force=False), RESUMED)
    assert failed.is_ending
    assert failed.stopped == "task a failed"


def test_a_second_signal_forces_what_the_first_asked_for():
    found = course(facts.RunInterrupted(force=True), facts.RunInterrupted(force=False))
    assert (found.draining, found.forced) == (True, True)


def test_what_failed_stays_over_until_somebody_has_it_tried_again():
    over = (stopped("task a failed"), finished(Outcome.FAILED))
    assert course(*over, RESUMED).outcome is Outcome.FAILED
    again = course(*over, REOPENED)
    assert (again.stopped, again.outcome, again.finished_at) == (None, None, None)
