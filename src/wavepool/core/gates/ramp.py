"""Starts follow the pressure on the host, where the user does not say how many."""

from __future__ import annotations

from wavepool.core.gates.base import Gate, Wait
from wavepool.core.state import RunState, TaskState
from wavepool.model import PressureLevel


class Ramp(Gate):
    """Waits for a start to be known, or for the pressure to ease; it blocks.

    Where memory is short one attempt runs at a time: its memory is promised by the budget, and a run that started
    nothing would wait for others of this host, for ever if it must be.
    """

    __slots__ = ()

    def check(self, state: RunState, entry: TaskState) -> Wait | None:
        ramp = state.ramp
        if ramp.level is PressureLevel.FULL:
            return Wait("memory eases", blocks=True) if state.live else None
        return None if state.starting < ramp.allowed else Wait("start known", blocks=True)
