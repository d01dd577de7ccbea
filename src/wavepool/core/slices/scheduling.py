"""Slice: which task starts next, which wave opens, when the run is over."""

from __future__ import annotations

from collections.abc import Iterator

from wavepool.core.events import Advance, Now
from wavepool.core.facts import Fact, Outcome, RunFinished, RunStopped, StartIntended, WaveOpened, WaveSettled
from wavepool.core.gates import Gate, gates_of
from wavepool.core.gates.capacity import find_node
from wavepool.core.state import RunState, TaskState, WaveState
from wavepool.errors import InvariantBroken
from wavepool.model import AttemptId, Schedule

_GATES = {(schedule, ramp): gates_of(schedule, ramp=ramp) for schedule in Schedule for ramp in (False, True)}


def on_advance(state: RunState, event: Advance, now: Now) -> Iterator[Fact]:
    """Everything that can begin or end now, one fact after the other."""
    if state.outcome is not None:
        return
    gates = _GATES[state.rules.schedule, state.rules.ramp]
    progressed = True
    while progressed:
        yield from _settle_waves(state, now)
        wave = _wave_to_open(state)
        if wave is not None:
            yield WaveOpened(wave=wave.number, deadline_s=_wave_deadline_s(state, now), at=now.utc)
        start = _next_start(state, gates, now)
        if start is not None:
            yield start
        # the search for a start may have passed over tasks, up to one whose wave is not open yet
        progressed = wave is not None or start is not None or _wave_to_open(state) is not None
    if _is_over(state):
        yield RunFinished(outcome=_outcome(state), at=now.utc)


def _settle_waves(state: RunState, now: Now) -> Iterator[Fact]:
    """Each open wave that has come to its end. A barrier run that does not keep going stops after one with failures."""
    for wave in [state.waves[number] for number in sorted(state.ripe) if state.waves[number].prepared]:
        yield WaveSettled(wave=wave.number, at=now.utc)
        stops = state.rules.schedule is Schedule.BARRIER and not state.rules.keep_going and state.course.stopped is None
        if wave.stops_the_run and stops and state.pending:
            cause = f"wave {wave.number} ended with {wave.failures} of its tasks not successful"
            yield RunStopped(cause=cause, infrastructure=False)


def _wave_to_open(state: RunState) -> WaveState | None:
    if state.course.is_ending or state.course.is_paused:
        return None
    if state.rules.schedule is Schedule.BARRIER:
        wave = state.current_wave()
    else:
        head = state.head()
        wave = state.waves[head.task.wave] if head is not None else None
    return wave if wave is not None and not wave.opened else None


def _wave_deadline_s(state: RunState, now: Now) -> float | None:
    if state.rules.schedule is not Schedule.BARRIER or state.rules.wave_timeout_s is None:
        return None
    return now.boot_s + state.rules.wave_timeout_s


def _next_start(state: RunState, gates: tuple[Gate, ...], now: Now) -> Fact | None:
    if state.course.is_ending:
        return None
    while (entry := state.head()) is not None:
        for gate in gates:
            wait = gate.check(state, entry)
            if wait is None:
                continue
            if wait.blocks:
                return None
            state.set_aside(wait.key)
            break
        else:
            return _start(state, entry, now)
    return None


def _start(state: RunState, entry: TaskState, now: Now) -> StartIntended:
    held = entry.task.held()
    node = find_node(state.rules.nodes, state.free, held)
    if node is None:
        raise InvariantBroken(f"the capacity gate let {entry.task.id!r} through without room")
    attempt = AttemptId(entry.task.id, entry.attempts + 1)
    return StartIntended(attempt=attempt, node=node, held=held, at=now.utc, at_s=now.boot_s)


def _is_over(state: RunState) -> bool:
    if state.live or any(not wave.prepared for wave in state.open_waves()):
        return False
    return state.pending == 0 or state.course.is_ending


def _outcome(state: RunState) -> Outcome:
    course = state.course
    if course.infrastructure_failed:
        return Outcome.INFRASTRUCTURE
    if course.draining and (state.pending or (course.forced and state.failures)):  # else nothing was cut off
        return Outcome.INTERRUPTED
    return Outcome.FAILED if state.failures or course.stopped is not None else Outcome.SUCCESS
