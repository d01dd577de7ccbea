"""Slice: what a reading of the host's pressure means for the starts of a run.

A reading becomes a fact only where it changes something; so a replay knows what was allowed without any reading.
"""

from __future__ import annotations

from collections.abc import Iterator

from wavepool.core import events, facts
from wavepool.core.events import Now
from wavepool.core.facts import Fact
from wavepool.core.ramp import Ramp, next_ramp
from wavepool.core.state import RunState

# -- decide --


def on_pressed(state: RunState, event: events.Pressed, now: Now) -> Iterator[Fact]:
    """More, fewer or no starts; most readings change nothing."""
    if not state.rules.ramp:
        return
    before = state.ramp
    used_up = state.starting >= before.allowed
    ramp, why = next_ramp(before, event.reading, most=state.rules.parallel, used_up=used_up)
    if ramp != before:
        yield facts.StartsPaced(
            allowed=ramp.allowed, doubles_to=ramp.doubles_to, level=ramp.level, because=why, at=now.utc
        )


# -- apply --


def starts_paced(state: RunState, fact: facts.StartsPaced) -> None:
    state.ramp = Ramp(fact.allowed, fact.doubles_to, fact.level)
