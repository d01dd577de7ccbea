"""Makespan with heavy-tailed durations: rolling in plan order, and barrier, against the lower bound.

Simulated through the core in virtual time. The bound is max(the longest task, all work / the budget), work being
duration times memory. No schedule that does not know the durations can promise to meet it: a long task may come last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bench.harness import Figure, Goal, Options
from bench.simulation import Simulation, make_task, rules_for
from wavepool.model import AttemptId, Schedule, Task
from wavepool.units import GIB, MIB, human_size

WAVES = 40
WAVE_TASKS = 28
"""As in the seed's plans."""
BUDGET_BYTES = 16 * GIB
MEMORY_MIB = (512, 600, 800, 1024)
"""The seed's four tiers, drawn evenly."""
SEEDS = range(1, 21)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Durations in seconds: a draw, in words for people."""

    name: str
    words: str
    draw: Callable[[Random], float]


DISTRIBUTIONS = (
    Distribution(
        name="lognormal",
        words="lognormal, median 60 s, sigma 1.0, cut at 1800 s",
        draw=lambda rng: min(1800.0, rng.lognormvariate(4.094, 1.0)),
    ),
    Distribution(
        name="Pareto",
        words="Pareto, at least 30 s, alpha 1.5, cut at 1800 s",
        draw=lambda rng: min(1800.0, 30.0 * rng.paretovariate(1.5)),
    ),
)
"""Cut at 30 minutes, the seed's longest wave timeout: an attempt is stopped then."""


async def measure(options: Options) -> list[Figure]:
    """A row for each distribution: the worst ratio over all seeds."""
    return [_row(distribution) for distribution in DISTRIBUTIONS]


def _row(distribution: Distribution) -> Figure:
    rolling: list[float] = []
    barrier: list[float] = []
    for seed in SEEDS:
        tasks, durations_s = _plan(distribution, seed)
        bound_s = lower_bound_s(tasks, durations_s)
        rolling.append(makespan_s(tasks, durations_s, Schedule.ROLLING) / bound_s)
        barrier.append(makespan_s(tasks, durations_s, Schedule.BARRIER) / bound_s)
    goal = Goal(bound=1.35)
    worst = max(rolling)
    return Figure(
        name=f"makespan, {distribution.name}",
        unit="x bound",
        ours=worst,
        rivals={"barrier (worst)": max(barrier)},
        floor=1.0,
        ratio=worst,
        goals=(str(goal),),
        missed=() if goal.is_met(worst) else (str(goal),),
        runs={"seeds": len(SEEDS)},
        note=f"the worst of seeds {SEEDS[0]} to {SEEDS[-1]}, rolling in plan order (their median "
        f"{sorted(rolling)[len(rolling) // 2]:.2f}); {WAVES} waves of {WAVE_TASKS}, {distribution.words}, memory "
        f"{'/'.join(map(str, MEMORY_MIB))} MiB, budget {human_size(BUDGET_BYTES)}.",
    )


def _plan(distribution: Distribution, seed: int) -> tuple[list[Task], dict[str, float]]:
    rng = Random(seed)
    tasks = [
        make_task(number, wave=number // WAVE_TASKS + 1, memory_bytes=rng.choice(MEMORY_MIB) * MIB)
        for number in range(WAVES * WAVE_TASKS)
    ]
    return tasks, {task.id: distribution.draw(rng) for task in tasks}


def lower_bound_s(tasks: list[Task], durations_s: dict[str, float]) -> float:
    """No schedule is shorter than its longest task, nor than all work spread over the whole budget."""
    work = sum(durations_s[task.id] * task.limits.memory_bytes for task in tasks)
    return max(max(durations_s.values()), work / BUDGET_BYTES)


def makespan_s(tasks: list[Task], durations_s: dict[str, float], schedule: Schedule) -> float:
    """How long the core's own schedule takes."""

    def duration_s(attempt: AttemptId) -> float:
        return durations_s[attempt.task_id]

    rules = rules_for(BUDGET_BYTES, schedule=schedule, parallel=len(tasks))
    return Simulation(tasks, rules, duration_s).finish().makespan_s
