"""Routing: which slice decides about an event, and which applies a fact. Nothing else is here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wavepool.core import events, facts
from wavepool.core.events import Event, Now
from wavepool.core.facts import Fact
from wavepool.core.slices import (
    accounts,
    agents,
    attempts,
    cancelling,
    pausing,
    pressure,
    reopening,
    runs,
    scheduling,
    tasks,
    watchdog,
)
from wavepool.core.state import RunState
from wavepool.errors import InvariantBroken

# The tables map a class to a function that takes exactly that class, which a type checker cannot follow: hence Any.
_DECIDE: Mapping[type, Callable[[RunState, Any, Now], Iterator[Fact]]] = {
    events.Opened: runs.on_opened,
    events.Resumed: runs.on_resumed,
    events.Reopened: reopening.on_reopened,
    events.Advance: scheduling.on_advance,
    events.WaveReady: runs.on_wave_ready,
    events.Running: attempts.on_running,
    events.Ended: attempts.on_ended,
    events.Crossed: watchdog.on_crossed,
    events.Spoke: agents.on_spoke,
    events.Pressed: pressure.on_pressed,
    events.AllTold: attempts.on_all_told,
    events.Archived: agents.on_archived,
    events.Cleared: attempts.on_cleared,
    events.DeadlinePassed: runs.on_deadline,
    events.Interrupted: runs.on_interrupted,
    events.Paused: pausing.on_paused,
    events.Unpaused: pausing.on_unpaused,
    events.Unwanted: cancelling.on_unwanted,
    events.DriverFailed: runs.on_driver_failed,
}

_APPLY: Mapping[type, Callable[[RunState, Any], None]] = {
    facts.TasksAdded: runs.tasks_added,
    facts.RunResumed: runs.run_resumed,
    facts.WaveOpened: runs.wave_opened,
    facts.WavePrepared: runs.wave_prepared,
    facts.WaveTimedOut: runs.wave_timed_out,
    facts.WaveSettled: runs.wave_settled,
    facts.AccountPaused: accounts.account_paused,
    facts.RunPaused: pausing.run_paused,
    facts.RunUnpaused: pausing.run_unpaused,
    facts.TasksCancelled: cancelling.tasks_cancelled,
    facts.RunStopped: runs.course_changed,
    facts.RunInterrupted: runs.course_changed,
    facts.RunReopened: reopening.run_reopened,
    facts.RunFinished: runs.run_finished,
    facts.StartIntended: attempts.start_intended,
    facts.AttemptStarted: attempts.attempt_started,
    facts.WatchdogWarned: watchdog.watchdog_warned,
    facts.StopIntended: attempts.stop_intended,
    facts.AttemptExited: attempts.attempt_exited,
    facts.AttemptSettled: attempts.attempt_settled,
    facts.AttemptRemoved: attempts.attempt_removed,
    facts.TaskRequeued: tasks.task_requeued,
    facts.TaskSettled: tasks.task_settled,
    facts.TaskSkipped: tasks.task_skipped,
    facts.StartsPaced: pressure.starts_paced,
}


_AFTER_THE_END = (events.Resumed, events.Reopened)


def open_run(fact: facts.RunOpened) -> RunState:
    """The state that the first fact makes."""
    return RunState(fact)


def decide(state: RunState, event: Event, now: Now) -> Iterator[Fact]:
    """What follows from `event`. The caller applies each fact before it asks for the next.

    Events that repeat, come late, or come in another order decide nothing the second time; none does after the end.
    """
    if state.outcome is not None and type(event) not in _AFTER_THE_END:
        return iter(())
    return _DECIDE[type(event)](state, event, now)


def apply(state: RunState, fact: Fact) -> None:
    """Make `fact` part of the state. The only way in which a state changes; replay is this alone.

    Raises:
        InvariantBroken: the fact cannot follow on this state.
    """
    if state.outcome is not None and not isinstance(fact, facts.RunResumed | facts.RunReopened):
        raise InvariantBroken(f"{type(fact).__name__} after the end of run {state.run.run_id}")
    _APPLY[type(fact)](state, fact)
