"""Makespan with heavy-tailed durations: rolling in plan order and by what was learned, and barrier, against the bound.

Simulated through the core in virtual time. The bound is max(the longest task, all work / the budget), work being
duration times memory. No schedule that does not know the durations can promise to meet it: a long task may come last.

What is learned comes from one earlier run of the same tasks, in which each took another time than it takes now.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bench.harness import Figure, Goal, Options
from bench.simulation import Simulation, make_task, rules_for
from wavepool.learning import History, Sample, kind_of, twin_of
from wavepool.model import AttemptId, Schedule, Task, VerdictKind
from wavepool.plan.precedence import longest_first
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


PLAN_ORDER, LEARNED, BARRIER = "plan order", "learned", "barrier"
GOALS = {PLAN_ORDER: Goal(bound=1.35), LEARNED: Goal(bound=1.1)}
DRIFT_SIGMA = 0.3
"""What a task took before is what it takes now times a lognormal factor of this sigma: mostly within a third of it."""


async def measure(options: Options) -> list[Figure]:
    """Two rows for each distribution, rolling in plan order and by what was learned: the worst ratio over all seeds."""
    return [figure for distribution in DISTRIBUTIONS for figure in _rows(distribution)]


def _rows(distribution: Distribution) -> list[Figure]:
    ratios: dict[str, list[float]] = {PLAN_ORDER: [], LEARNED: [], BARRIER: []}
    for seed in SEEDS:
        tasks, durations_s = _plan(distribution, seed)
        bound_s = lower_bound_s(tasks, durations_s)
        places = learned_places(tasks, durations_s, seed)
        ratios[PLAN_ORDER].append(makespan_s(tasks, durations_s, Schedule.ROLLING) / bound_s)
        ratios[LEARNED].append(makespan_s(tasks, durations_s, Schedule.ROLLING, places) / bound_s)
        ratios[BARRIER].append(makespan_s(tasks, durations_s, Schedule.BARRIER) / bound_s)
    return [_row(distribution, way, ratios) for way in GOALS]


def _row(distribution: Distribution, way: str, ratios: dict[str, list[float]]) -> Figure:
    goal, worst = GOALS[way], max(ratios[way])
    learned = f" Learned from one run in which durations differed by a lognormal factor of sigma {DRIFT_SIGMA:g}."
    return Figure(
        name=f"makespan, {distribution.name}, {way}",
        unit="x bound",
        ours=worst,
        rivals={f"{other} (worst)": max(values) for other, values in ratios.items() if other != way},
        floor=1.0,
        ratio=worst,
        goals=(str(goal),),
        missed=() if goal.is_met(worst) else (str(goal),),
        runs={"seeds": len(SEEDS)},
        note=f"the worst of seeds {SEEDS[0]} to {SEEDS[-1]}, rolling, {way} (their median "
        f"{statistics.median(ratios[way]):.2f}); {WAVES} waves of {WAVE_TASKS}, {distribution.words}, memory "
        f"{'/'.join(map(str, MEMORY_MIB))} MiB, budget {human_size(BUDGET_BYTES)}.{learned if way == LEARNED else ''}",
    )


def learned_places(tasks: list[Task], durations_s: dict[str, float], seed: int) -> tuple[int, ...]:
    """The order that an earlier run of the same tasks gives, through the history as a real run reads it."""
    rng = Random(f"drift of {seed}")
    history = History(
        Sample(
            kind=kind_of(task, ""),
            twin=twin_of(task, ""),
            tier=task.tier,
            limit_bytes=task.limits.memory_bytes,
            verdict=VerdictKind.SUCCESS,
            duration_s=durations_s[task.id] * rng.lognormvariate(0.0, DRIFT_SIGMA),
        )
        for task in tasks
    )
    return longest_first(tasks, [history.expected(task, "").duration_s for task in tasks])


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


def makespan_s(
    tasks: list[Task], durations_s: dict[str, float], schedule: Schedule, places: tuple[int, ...] = ()
) -> float:
    """How long the core's own schedule takes; `places` is the order of starting, empty for that of the plan."""

    def duration_s(attempt: AttemptId) -> float:
        return durations_s[attempt.task_id]

    rules = rules_for(BUDGET_BYTES, schedule=schedule, parallel=len(tasks))
    return Simulation(tasks, rules, duration_s, places).finish().makespan_s
