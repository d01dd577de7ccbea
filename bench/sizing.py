"""How many tasks find a warm container: the learned size beside the seed's thresholds, in simulation.

The real policy decides about arrivals, refills and tasks of given lengths in virtual time. No Docker, the same numbers
each time.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from random import Random

from bench.harness import Figure, Goal, Options
from wavepool.core.pools import Demand
from wavepool.model import PoolSettings
from wavepool.testing.pool_simulation import PoolOutcome, bursts, poisson, simulate_pool, steps

MAX_SIZE = 20
WARM_UP = 200
"""Arrivals that do not count: until then every way is as the first sizes were."""
SEED = 20_261_127
TASK_S = 0.5
"""Mean of the exponential lengths of tasks."""
REFILL_S = 0.235
"""Mean of the refills, as `_refill_s` has them: five of a hundred take much longer."""

_Arrivals = Callable[[Random], Iterator[float]]


def _refill_s(random: Random) -> float:
    return random.uniform(0.15, 0.30) + (random.expovariate(5) if random.random() < 0.05 else 0)


def _task_s(random: Random) -> float:
    return random.expovariate(1 / TASK_S)


def _of_capacity(part: float) -> _Arrivals:
    return lambda random: poisson(random, part / REFILL_S, 6000)


SCENES: Mapping[str, _Arrivals] = {
    "Poisson, 0.2 of what refills": _of_capacity(0.2),
    "Poisson, 0.5 of what refills": _of_capacity(0.5),
    "Poisson, 0.8 of what refills": _of_capacity(0.8),
    "6 at once, each 30 s": lambda random: bursts(random, size=6, every_s=30.0, spread_s=0.1, count=500),
    "10 at once, each 60 s": lambda random: bursts(random, size=10, every_s=60.0, spread_s=0.1, count=500),
    "Poisson, 0.4/s and 3/s in turn": lambda random: steps(random, (0.4, 3.0, 0.4, 3.0), 1000),
}


class _RateAlone(Demand):
    """The base stock of a Poisson demand, and nothing else."""

    def wanted(self, now_s: float) -> int:
        return self.by_rate(now_s)


async def measure(options: Options) -> list[Figure]:
    """A row for each scene, each way of use."""
    rounds = options.rounds(3)
    return [
        _row(f"{name}{', reused' if reuse else ''}", scene, reuse, rounds)
        for reuse in (False, True)
        for name, scene in SCENES.items()
    ]


def play(scene: _Arrivals, settings: PoolSettings, seed: int, demand: Demand | None = None) -> PoolOutcome:
    """One simulated pool; the seed decides about everything."""
    return simulate_pool(
        settings,
        scene(Random(seed)),
        random=Random(seed + 1),
        refill_s=_refill_s,
        task_s=_task_s,
        warm_up=WARM_UP,
        demand=demand,
    )


def _row(name: str, scene: _Arrivals, reuse: bool, rounds: int) -> Figure:
    learned = PoolSettings(max_size=MAX_SIZE, reuse=reuse)
    ways: Mapping[str, Callable[[int], PoolOutcome]] = {
        "learned": partial(play, scene, learned),
        "rate alone": lambda seed: play(scene, learned, seed, _RateAlone(MAX_SIZE)),
        "thresholds": partial(play, scene, replace(learned, learning=False)),
        "size 2": partial(play, scene, replace(learned, auto_scaling=False)),
    }
    outcomes = {way: [run(SEED + 10 * number) for number in range(rounds)] for way, run in ways.items()}
    hits = {way: statistics.median(each.hit_percent for each in played) for way, played in outcomes.items()}
    idle = {way: statistics.median(each.mean_idle for each in played) for way, played in outcomes.items()}
    goal = Goal(bound=99.0, at_least=True) if name.startswith("Poisson, 0.") and "turn" not in name else None
    return Figure(
        name=f"hits: {name}",
        unit="% of tasks",
        ours=hits["learned"],
        rivals={way: hits[way] for way in ways if way != "learned"},
        goals=(str(goal),) if goal is not None else (),
        missed=(str(goal),) if goal is not None and not goal.is_met(hits["learned"]) else (),
        runs={way: len(played) for way, played in outcomes.items()},
        note="idle on average: " + ", ".join(f"{way} {value:.1f}" for way, value in idle.items()),
    )
