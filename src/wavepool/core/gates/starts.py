"""Only so many starts may be under way at once: a daemon that is asked for more serves all of them later."""

from __future__ import annotations

from wavepool.core.gates.base import Gate, Wait
from wavepool.core.state import RunState, TaskState


class Starts(Gate):
    """Waits for a start to be known; it blocks."""

    __slots__ = ()

    def check(self, state: RunState, entry: TaskState) -> Wait | None:
        return None if state.starting < state.rules.parallel else Wait("start known", blocks=True)
