"""Slice: a run that somebody has paused. Nothing new starts, no wave opens; what runs goes on to its end.

A pause holds starts back, not the end: a run that has nothing left to start ends, paused or not.
"""

from __future__ import annotations

from collections.abc import Iterator

from wavepool.core import events, facts
from wavepool.core.events import Now
from wavepool.core.facts import Fact
from wavepool.core.state import RunState
from wavepool.core.timers import wave_timer

# -- decide --


def on_paused(state: RunState, event: events.Paused, now: Now) -> Iterator[Fact]:
    """Nothing follows where it is paused already, or starts nothing any more as it is ending."""
    if state.course.paused is None and not state.course.is_ending:
        yield facts.RunPaused(at_s=now.boot_s, at=now.utc)


def on_unpaused(state: RunState, event: events.Unpaused, now: Now) -> Iterator[Fact]:
    """Nothing follows where it is not paused."""
    yield from lift(state, now)


def lift(state: RunState, now: Now) -> Iterator[Fact]:
    """The end of a pause, where there is one; not of a run that is over, and only looked at."""
    if state.course.is_paused:
        yield facts.RunUnpaused(at_s=now.boot_s, at=now.utc)


# -- apply --


def run_paused(state: RunState, fact: facts.RunPaused) -> None:
    """A wave must not run out of the time in which nothing of it may start."""
    state.course.take(fact)
    for number in state.open:
        deadline_s = state.timers.deadline_s(wave_timer(number))
        if deadline_s is not None:
            state.wave_time_left_s[number] = deadline_s - fact.at_s
            state.timers.clear(wave_timer(number))


def run_unpaused(state: RunState, fact: facts.RunUnpaused) -> None:
    """Waves go on with the time that they had left."""
    state.course.take(fact)
    for number, left_s in state.wave_time_left_s.items():
        if number in state.open:
            state.timers.set(wave_timer(number), fact.at_s + left_s)
    state.wave_time_left_s.clear()
