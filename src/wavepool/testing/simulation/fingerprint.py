"""What two states must have in common to be the same run."""

from __future__ import annotations

from wavepool.core.course import RunCourse
from wavepool.core.state import AttemptState, RunState, TaskState, WaveState
from wavepool.core.timers import TimerKind

_FORGOTTEN = frozenset({TimerKind.BACKOFF, TimerKind.ACCOUNT})


def fingerprint(state: RunState) -> dict[str, object]:
    """All that the facts say about `state`, as values that compare: equal for a live state and its replay.

    Left out is what no fact says: the index of pending tasks, readings of live agents, and the timers of backoffs and
    paused accounts, which the scheduler forgets when they pass and a replay sets again.
    """
    return {
        "tasks": [_task(entry) for entry in state.order],
        "waves": [_wave(wave) for wave in state.waves.values()],
        "open": list(state.open),
        "live": {attempt: _attempt(entry) for attempt, entry in state.live.items()},
        "deadlines": {key: at for key, at in state.timers.deadlines().items() if key.kind not in _FORGOTTEN},
        "free": list(state.free),
        "counts": (state.starting, state.pending, state.failures, state.first_open),
        "ramp": state.ramp,
        "verdicts": {kind: count for kind, count in state.verdicts.items() if count},
        "course": [getattr(state.course, name) for name in RunCourse.__slots__],
        "paused": dict(state.wave_time_left_s),
        "accounts": {name: (each.until, each.because, each.pauses) for name, each in state.accounts.items()},
        "spent": state.spending.ended,
        "left_behind": list(state.left_behind),
    }


def _task(entry: TaskState) -> tuple[object, ...]:
    tries = (entry.attempts, entry.forgiven, entry.transient_starts, entry.rate_limited)
    return (entry.task, entry.status, tries, entry.may_repeat, entry.cancelled, entry.excused, entry.verdict)


def _wave(wave: WaveState) -> tuple[object, ...]:
    marks = (wave.opened, wave.prepared, wave.settled)
    counts = (wave.failures, wave.excused, wave.unsettled, wave.live, wave.running, wave.rounds)
    return (wave.number, wave.parallelism, marks, counts)


def _attempt(entry: AttemptState) -> tuple[object, ...]:
    stop = (entry.stop_reason, entry.finding, entry.warned)
    return (entry.wave, entry.node, entry.held, entry.phase, entry.handle, stop, entry.ending, entry.intended_s)
