"""A further attempt waits a while after the one that failed."""

from __future__ import annotations

from wavepool.core.gates.base import Gate, Wait
from wavepool.core.state import RunState, TaskState
from wavepool.core.timers import backoff_timer


class Backoff(Gate):
    """Waits for the task's own timer; the task is passed over meanwhile."""

    __slots__ = ()

    def check(self, state: RunState, entry: TaskState) -> Wait | None:
        if entry.attempts == 0:
            return None
        key = backoff_timer(entry.task.id)
        return Wait(key, blocks=False) if state.timers.is_set(key) else None
