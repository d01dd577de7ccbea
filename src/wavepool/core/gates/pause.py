"""Nothing starts while somebody has paused the run."""

from __future__ import annotations

from wavepool.core.gates.base import Gate, Wait
from wavepool.core.state import RunState, TaskState


class Pause(Gate):
    """Waits for the end of the pause; it blocks."""

    __slots__ = ()

    def check(self, state: RunState, entry: TaskState) -> Wait | None:
        return None if state.course.paused is None else Wait("run unpaused", blocks=True)
