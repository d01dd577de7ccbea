"""A wave is opened and what it needs (a network of its own) is made before its first task starts."""

from __future__ import annotations

from wavepool.core.gates.base import Gate, Wait
from wavepool.core.state import RunState, TaskState


class Prepared(Gate):
    """Waits for the wave's preparation, which is short; it blocks."""

    __slots__ = ()

    def check(self, state: RunState, entry: TaskState) -> Wait | None:
        if state.waves[entry.task.wave].prepared:
            return None
        return Wait(("wave prepared", entry.task.wave), blocks=True)
