"""A wave's own `parallelism` caps how many of its tasks run at once."""

from __future__ import annotations

from wavepool.core.gates.base import Gate, Wait
from wavepool.core.state import RunState, TaskState
from wavepool.model import Schedule


class Parallelism(Gate):
    """Waits for one of the wave's attempts to end.

    Under the barrier everything behind belongs to the same wave or a later one, so it blocks; under rolling the
    other waves pass.
    """

    __slots__ = ()

    def check(self, state: RunState, entry: TaskState) -> Wait | None:
        wave = state.waves[entry.task.wave]
        if wave.parallelism is None or wave.running < wave.parallelism:
            return None
        return Wait(parallelism_key(wave.number), blocks=state.rules.schedule is Schedule.BARRIER)


def parallelism_key(wave: int) -> tuple[str, int]:
    """Woken when an attempt of that wave has ended."""
    return ("wave slot", wave)


def wake_for_slots(state: RunState, number: int) -> None:
    """Bring back as many of that wave's tasks as may start now."""
    wave = state.waves[number]
    free = None if wave.parallelism is None else max(0, wave.parallelism - wave.running)
    state.wake(parallelism_key(number), free)
