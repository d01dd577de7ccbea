"""One attempt: its stops, late and repeated events, and what a new process makes of it."""

from __future__ import annotations

import pytest

from wavepool.core import actions, events, facts
from wavepool.core.actions import outstanding
from wavepool.core.decide import apply
from wavepool.core.facts import Outcome
from wavepool.core.stopping import KILL_GRACE_S
from wavepool.errors import InvariantBroken
from wavepool.model import AttemptId, AttemptPhase, LogRecord, StopReason, VerdictKind

CANCELLED, FAILED, TIMEOUT = VerdictKind.CANCELLED, VerdictKind.FAILED, VerdictKind.TIMEOUT
A1 = AttemptId("a", 1)


def test_each_fact_asks_for_its_action(new_run, make_task, actions_of):
    run = new_run([make_task("a")])
    assert actions_of(run.facts) == [actions.PrepareWave(wave=1), actions.StartAttempt(attempt=A1)]
    assert actions_of(run.runs("a")) == []
    assert actions_of(run.exits("a")) == [actions.ArchiveLogs(attempt=A1)]
    archived = events.Archived(attempt=A1, log=LogRecord())
    assert actions_of(run.feed(archived)) == [actions.RemoveAttempt(attempt=A1)]
    assert actions_of(run.feed(events.Cleared(attempt=A1))) == [actions.ReleaseWave(wave=1)]
    assert run.state.outcome is Outcome.SUCCESS


def test_an_attempt_is_stopped_at_its_deadline(new_run, make_task, actions_of):
    run = new_run([make_task("a", timeout_s=10.0)], grace_s=7.0)
    run.now_s = 5.0
    run.runs("a")
    assert run.at(14.9) == []
    decided = run.at(15.0)
    stop = actions.StopAttempt(attempt=A1, handle=run.handle("a"), reason=StopReason.TIMEOUT, grace_s=7.0)
    assert actions_of(decided) == [stop]
    assert run.at(16.0) == [], "once is enough"
    run.ends("a", VerdictKind.SUCCESS)
    settled = run.of(facts.AttemptSettled)[0].verdict
    assert (settled.kind, settled.exit_code, settled.evidence.exit_code) == (TIMEOUT, 124, 0)
    assert settled.evidence.reason == "it reached its timeout and was stopped"


def test_a_stop_follows_the_start_that_it_overtook(new_run, make_task, actions_of):
    run = new_run([make_task("a")], wave_timeout_s=1.0)
    assert actions_of(run.at(1.0)) == [], "there is nothing yet that could be stopped"
    decided = run.runs("a")
    assert [type(action) for action in actions_of(decided)] == [actions.StopAttempt]
    assert run.runs("a") == [], "told twice"
    run.ends("a", FAILED)
    assert run.verdict("a") is TIMEOUT


def test_a_stop_whose_start_never_came_about(new_run, make_task):
    run = new_run([make_task("a")], wave_timeout_s=1.0)
    run.at(1.0)
    run.ends("a", VerdictKind.START_ERROR, transient=True)
    assert run.verdict("a") is TIMEOUT
    assert run.state.starting == 0


def test_ctrl_c_drains_and_twice_stops(new_run, make_task, actions_of):
    run = new_run([make_task("a"), make_task("b"), make_task("c")], parallel=2, max_attempts=3)
    run.runs("a")
    assert run.started() == ["a#1", "b#1", "c#1"]
    run = new_run([make_task("a"), make_task("b"), make_task("c", 2)], max_attempts=3, grace_s=10.0)
    run.runs("a")
    drained = run.feed(events.Interrupted(force=False))
    assert [type(fact) for fact in drained] == [facts.RunInterrupted]
    assert run.feed(events.Interrupted(force=False)) == []
    forced = run.feed(events.Interrupted(force=True))
    assert [stop.grace_s for stop in actions_of(forced)] == [KILL_GRACE_S], "b is not there yet"
    assert run.feed(events.Interrupted(force=True)) == []
    assert [stop.grace_s for stop in actions_of(run.runs("b"))] == [KILL_GRACE_S]
    run.ends("a", FAILED)
    run.ends("b", FAILED)
    assert run.state.outcome is Outcome.INTERRUPTED
    assert (run.verdict("a"), run.verdict("b"), run.verdict("c")) == (CANCELLED, CANCELLED, None)
    assert run.state.pending == 1


@pytest.mark.parametrize(
    ("forced", "kind", "outcome"),
    [
        (False, VerdictKind.SUCCESS, Outcome.SUCCESS),
        (False, FAILED, Outcome.FAILED),
        (True, FAILED, Outcome.INTERRUPTED),
    ],
)
def test_an_interrupt_that_cut_nothing_off_changes_no_outcome(new_run, make_task, forced, kind, outcome):
    """Everything had been started and ended as it would have: a resume would have nothing to do."""
    run = new_run([make_task("a")])
    run.runs("a")
    run.feed(events.Interrupted(force=forced))
    run.ends("a", kind)
    assert run.state.outcome is outcome


def test_a_drained_run_goes_on_when_it_is_resumed(new_run, make_task):
    run = new_run([make_task("a"), make_task("b", 2)], max_attempts=2)
    run.feed(events.Interrupted(force=False))
    run.ends("a", FAILED)
    assert run.state.outcome is Outcome.INTERRUPTED, "what failed is tried again by a resume"
    run.crash()
    assert run.state.outcome is None
    run.feed(events.AllTold(present=frozenset()))
    run.at(run.state.timers.next_s())
    run.ends("a", number=2)
    run.ends("b")
    assert run.state.outcome is Outcome.SUCCESS


def test_late_and_repeated_events_decide_nothing(new_run, make_task):
    run = new_run([make_task("a"), make_task("b")])
    ended = run.exits("a")
    assert ended
    assert run.exits("a") == []
    assert run.runs("a") == [], "told after its end"
    assert run.feed(events.Archived(attempt=A1, log=LogRecord()))
    assert run.feed(events.Archived(attempt=A1, log=LogRecord())) == []
    assert run.feed(events.Cleared(attempt=A1))
    assert run.feed(events.Cleared(attempt=A1)) == []
    assert run.exits("a", FAILED) == []
    assert run.verdict("a") is VerdictKind.SUCCESS


def test_after_the_end_nothing_is_decided(new_run, make_task):
    run = new_run([make_task("a")], wave_timeout_s=5.0)
    run.ends("a")
    late = (
        events.DeadlinePassed(),
        events.Interrupted(force=True),
        events.DriverFailed(cause="x"),
        events.WaveReady(wave=1, problem="x"),
        events.AllTold(present=frozenset()),
    )
    run.now_s = 100.0
    assert run.feed(*late) == []


def test_an_end_told_before_the_start_is_enough(new_run, make_task):
    run = new_run([make_task("a")])
    decided = run.exits("a")
    assert [type(fact) for fact in decided] == [facts.AttemptStarted, facts.AttemptExited]
    assert run.state.starting == 0


def test_what_could_not_be_removed_is_remembered_and_stops_nobody(new_run, make_task):
    run = new_run([make_task("a")])
    run.exits("a")
    run.feed(events.Archived(attempt=A1, log=LogRecord()))
    run.feed(events.Cleared(attempt=A1, problem="a is busy"))
    assert run.state.left_behind == ["a is busy"]
    assert run.state.outcome is Outcome.SUCCESS


def test_a_driver_that_is_gone_ends_the_run_when_nothing_runs(new_run, make_task):
    run = new_run([make_task("a"), make_task("b", 2)])
    run.feed(events.DriverFailed(cause="no daemon"))
    assert run.state.outcome is None
    run.ends("a")
    assert run.state.outcome is Outcome.INFRASTRUCTURE


def test_outstanding_is_what_each_phase_asks_for(new_run, make_task):
    run = new_run([make_task(name) for name in "abcde"], grace_s=4.0)
    for name in "bcde":
        run.runs(name)
    run.exits("c")
    run.exits("d")
    run.feed(events.Archived(attempt=AttemptId("d", 1), log=LogRecord()))
    run.feed(events.Interrupted(force=False))
    state = run.replayed()
    assert outstanding(state) == [
        actions.StartAttempt(attempt=A1),
        actions.ArchiveLogs(attempt=AttemptId("c", 1)),
        actions.RemoveAttempt(attempt=AttemptId("d", 1)),
    ]
    run.feed(events.Interrupted(force=True))
    found = outstanding(run.replayed())
    assert actions.StartAttempt(attempt=A1) not in found, "it must not be started only to be stopped"
    assert [a.handle for a in found if isinstance(a, actions.StopAttempt)] == [run.handle("b"), run.handle("e")]


def test_what_vanished_while_nobody_watched_is_lost(new_run, make_task):
    run = new_run([make_task("a"), make_task("b"), make_task("c")])
    run.runs("a")
    run.runs("b")
    run.crash()
    decided = run.feed(events.AllTold(present=frozenset({AttemptId("b", 1)})))
    exited = [fact for fact in decided if isinstance(fact, facts.AttemptExited)]
    assert [(str(fact.attempt), fact.ending.kind) for fact in exited] == [("a#1", VerdictKind.LOST)]
    assert run.state.live[AttemptId("c", 1)].phase is AttemptPhase.INTENDED


def test_a_resume_moves_the_deadlines_to_the_new_boot_clock(new_run, make_task):
    run = new_run([make_task("a", timeout_s=100.0)], wave_timeout_s=300.0)
    run.runs("a")
    assert sorted(run.state.timers.deadlines().values()) == [100.0, 300.0]
    run.crash(shift_s=-40.0)
    assert sorted(run.state.timers.deadlines().values()) == [60.0, 260.0]
    assert run.at(59.0) == []
    assert [type(fact) for fact in run.at(60.0)] == [facts.StopIntended]


def test_facts_that_cannot_follow_are_refused(new_run, make_task):
    run = new_run([make_task("a")])
    with pytest.raises(InvariantBroken, match="not live"):
        apply(run.state, facts.AttemptRemoved(attempt=AttemptId("a", 2)))
    with pytest.raises(InvariantBroken, match="cannot go from"):
        apply(run.state, facts.AttemptRemoved(attempt=A1))
    intended = run.of(facts.StartIntended)[0]
    with pytest.raises(InvariantBroken, match="cannot start"):
        apply(run.state, intended)
    run.ends("a")
    with pytest.raises(InvariantBroken, match="after the end"):
        apply(run.state, facts.TaskSettled(task_id="a"))
