"""Slice: the run as a whole, its waves, its deadlines, draining and stopping."""

from __future__ import annotations

from collections.abc import Iterator

from wavepool.core import events, facts
from wavepool.core.events import Now
from wavepool.core.facts import Fact
from wavepool.core.ramp import first_ramp
from wavepool.core.slices.accounts import pauses_again
from wavepool.core.slices.pausing import lift
from wavepool.core.slices.tasks import skip_dependents
from wavepool.core.slices.watchdog import on_lifetime
from wavepool.core.state import RunState, TaskStatus
from wavepool.core.stopping import cancel, stop_for_timeout
from wavepool.core.timers import TimerKind, wave_timer
from wavepool.model import AttemptId, Isolation, VerdictKind

# -- decide --


def on_opened(state: RunState, event: events.Opened, now: Now) -> Iterator[Fact]:
    """The plan enters the journal whole, in the commit that opens the run."""
    yield from event.tasks


def on_resumed(state: RunState, event: events.Resumed, now: Now) -> Iterator[Fact]:
    """Another process takes the run up."""
    yield facts.RunResumed(boot_id=event.boot_id, shift_s=event.shift_s, at=now.utc)
    yield from lift(state, now)
    yield from pauses_again(state, now)


def on_wave_ready(state: RunState, event: events.WaveReady, now: Now) -> Iterator[Fact]:
    """A wave that cannot be prepared ends the run: the machine is at fault, not a task."""
    wave = state.waves[event.wave]
    if wave.prepared:
        return
    if event.problem is not None:
        yield facts.RunStopped(cause=f"wave {event.wave} could not be prepared: {event.problem}", infrastructure=True)
    yield facts.WavePrepared(wave=event.wave)


def on_deadline(state: RunState, event: events.DeadlinePassed, now: Now) -> Iterator[Fact]:
    """Every deadline that has come."""
    for key in state.timers.due(now.boot_s):
        if key.kind in (TimerKind.BACKOFF, TimerKind.ACCOUNT):
            # No fact: that a wait is over is told by the clock, and the index of waiting tasks is only an index.
            state.timers.clear(key)
            state.wake(key)
        elif key.kind is TimerKind.LIFETIME and isinstance(key.subject, AttemptId):
            yield from on_lifetime(state, key.subject, now)
        elif isinstance(key.subject, AttemptId):
            yield from stop_for_timeout(state, key.subject)
        elif isinstance(key.subject, int):
            yield from _time_wave_out(state, key.subject, now)


def _time_wave_out(state: RunState, number: int, now: Now) -> Iterator[Fact]:
    """Stop what runs of the wave. While attempts are left it has another round; else its pending tasks are skipped."""
    wave = state.waves[number]
    again = wave.rounds + 1 < state.rules.max_attempts
    bound_s = state.rules.wave_timeout_s
    yield facts.WaveTimedOut(wave=number, deadline_s=now.boot_s + bound_s if again and bound_s is not None else None)
    for attempt in [a.id for a in state.live.values() if a.wave == number]:
        yield from stop_for_timeout(state, attempt)
    if not again:
        cause = f"wave {number} reached its timeout before the task could start"
        pending = [e for e in state.order if e.task.wave == number and e.status is TaskStatus.PENDING]
        for entry in pending:
            if entry.status is TaskStatus.PENDING:  # else it was skipped with one that it depends on
                yield facts.TaskSkipped(task_id=entry.task.id, cause=cause)
                yield from skip_dependents(state, entry.task.id, VerdictKind.SKIPPED)


def on_interrupted(state: RunState, event: events.Interrupted, now: Now) -> Iterator[Fact]:
    """First drain: nothing new starts. With `force` also stop what runs."""
    course = state.course
    if course.outcome is not None or (course.draining and (course.forced or not event.force)):
        return
    yield facts.RunInterrupted(force=event.force)
    if event.force:
        for attempt in list(state.live):
            yield from cancel(state, attempt)


def on_driver_failed(state: RunState, event: events.DriverFailed, now: Now) -> Iterator[Fact]:
    """Nothing new starts; what runs is waited for."""
    if state.course.stopped is None:
        yield facts.RunStopped(cause=event.cause, infrastructure=True)


# -- apply --


def tasks_added(state: RunState, fact: facts.TasksAdded) -> None:
    state.add(fact.waves, fact.tasks, fact.places)


def run_resumed(state: RunState, fact: facts.RunResumed) -> None:
    """A resumed run has not ended, and a drain that a user asked of an earlier process is over."""
    if fact.shift_s:
        state.timers.shift(fact.shift_s)
        for attempt in state.live.values():
            if attempt.intended_s is not None:
                attempt.intended_s += fact.shift_s
    state.ramp = first_ramp(state.rules.parallel)  # what the host bears now is for this process to find out
    for wave in state.open_waves():
        wave.prepared = state.rules.isolation is not Isolation.WAVE
    state.course.take(fact)


def wave_opened(state: RunState, fact: facts.WaveOpened) -> None:
    wave = state.waves[fact.wave]
    wave.opened = True
    state.open[fact.wave] = wave
    state.note_if_ripe(wave)
    wave.prepared = state.rules.isolation is not Isolation.WAVE
    if fact.deadline_s is not None:
        state.timers.set(wave_timer(fact.wave), fact.deadline_s)


def wave_prepared(state: RunState, fact: facts.WavePrepared) -> None:
    state.waves[fact.wave].prepared = True


def wave_timed_out(state: RunState, fact: facts.WaveTimedOut) -> None:
    state.waves[fact.wave].rounds += 1
    if fact.deadline_s is None:
        state.timers.clear(wave_timer(fact.wave))
    else:
        state.timers.set(wave_timer(fact.wave), fact.deadline_s)


def wave_settled(state: RunState, fact: facts.WaveSettled) -> None:
    state.waves[fact.wave].settled = True
    del state.open[fact.wave]
    state.ripe.discard(fact.wave)
    state.timers.clear(wave_timer(fact.wave))
    state.pass_settled_waves()


def course_changed(state: RunState, fact: facts.RunStopped | facts.RunInterrupted) -> None:
    state.course.take(fact)


def run_finished(state: RunState, fact: facts.RunFinished) -> None:
    """What was never reached is skipped, unless a resume may still reach it."""
    state.course.take(fact)
    if fact.outcome in (facts.Outcome.INTERRUPTED, facts.Outcome.INFRASTRUCTURE):
        return
    for entry in state.order:
        if entry.status is TaskStatus.PENDING:
            entry.status = TaskStatus.FINAL
            entry.verdict = entry.verdict or VerdictKind.SKIPPED  # one that waited to be retried keeps its last
            state.verdicts[entry.verdict] += 1
    state.pending = 0
