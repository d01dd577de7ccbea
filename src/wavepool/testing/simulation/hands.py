"""What comes from outside while a simulated run goes on: signals, a failing driver, pressure, and what people ask."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from wavepool.core import events
from wavepool.core.events import Event
from wavepool.engine.asking import Ask, to_cancel, to_interrupt, to_pause, to_retry, to_unpause
from wavepool.testing.simulation.scenarios import Scenario, random_pressure


def plan_hands(
    scenario: Scenario, rng: Random, *, happens: Callable[[float, Event], None], asks: Callable[[float, Ask], None]
) -> None:
    """Draw all of it, each with the seconds from now until it comes."""
    troubles = scenario.troubles
    if rng.random() < troubles.interrupt:
        first_s = rng.random() * 60
        asks(first_s, to_interrupt(force=False))
        if rng.random() < 0.5:
            asks(first_s + rng.random() * 5, to_interrupt(force=True))
    if rng.random() < troubles.driver_fails:
        happens(rng.random() * 60, events.DriverFailed(cause="no daemon"))
    _plan_asking(scenario, Random(f"hands in {scenario.seed}"), asks)
    weather = Random(f"pressure of {scenario.seed}")
    for _ in range(troubles.readings):
        happens(weather.random() * 60, events.Pressed(reading=random_pressure(weather)))


def _plan_asking(scenario: Scenario, rng: Random, asks: Callable[[float, Ask], None]) -> None:
    """Whoever pauses goes on, a while later."""
    troubles = scenario.troubles
    for _ in range(troubles.pauses):
        at_s = rng.random() * 60
        asks(at_s, to_pause())
        asks(at_s + rng.choice((0.0, rng.random() * 60)), to_unpause())
    names = [task.id for task in scenario.tasks]
    for _ in range(troubles.cancels if names else 0):
        asks(rng.random() * 60, to_cancel(rng.sample(names, rng.randint(1, min(3, len(names))))))
    for _ in range(troubles.live_retries if names else 0):
        asks(rng.random() * 90, to_retry(rng.choice(((), [rng.choice(names)]))))
