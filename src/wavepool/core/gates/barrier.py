"""Waves as written: a wave begins when all earlier ones are settled."""

from __future__ import annotations

from wavepool.core.gates.base import Gate, Wait
from wavepool.core.state import RunState, TaskState


class Barrier(Gate):
    """Waits for the wave before. All tasks behind belong to this wave or a later one, so it blocks."""

    __slots__ = ()

    def check(self, state: RunState, entry: TaskState) -> Wait | None:
        current = state.current_wave()
        if current is None or current.number == entry.task.wave:
            return None
        return Wait(("wave settled", current.number), blocks=True)
