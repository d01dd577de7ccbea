"""How many containers a warm run may keep parked, where it is not told."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Literal

from wavepool.model import Node, Resources, Schedule, Task
from wavepool.plan.schema import Plan

Warm = int | Literal["auto"]
"""What `--warm` was asked for: so many, 0 for none, or as many as suit the plan."""

RESERVE_FRACTION = 0.1
"""Of the budget: what `auto` keeps for parked containers at most."""


def warm_places(plan: Plan, node: Node, schedule: Schedule, parked_bytes: int) -> int:
    """As many as any one wave may run at once, but no more than a tenth of the budget holds; at least 1.

    Args:
        node: where all of them run, with its budget.
        parked_bytes: what each counts in that.

    Returns:
        0 where the largest task needs so much of the budget that there is no room beside it.
    """
    budget_bytes = node.capacity.memory_bytes
    beside = (budget_bytes - max((task.held().memory_bytes for task in plan.tasks), default=0)) // parked_bytes
    wanted = min(_most_at_once(plan, node.capacity, schedule), int(budget_bytes * RESERVE_FRACTION) // parked_bytes)
    return max(0, min(max(1, wanted), beside))


def _most_at_once(plan: Plan, capacity: Resources, schedule: Schedule) -> int:
    """By memory, CPU and the waves' own parallelism; under rolling the waves run together."""
    if schedule is Schedule.ROLLING:
        return _fitting(plan.tasks, capacity)
    most = 0
    for wave in plan.waves:
        fitting = _fitting(plan.tasks_of(wave.number), capacity)
        most = max(most, fitting if wave.parallelism is None else min(fitting, wave.parallelism))
    return most


def _fitting(tasks: Sequence[Task], capacity: Resources) -> int:
    """How many of the smallest hold no more than the node has, together."""
    held = [task.held() for task in tasks]
    by_memory = _count((each.memory_bytes for each in held), capacity.memory_bytes)
    return min(by_memory, _count((each.milli_cpus for each in held), capacity.milli_cpus or math.inf))


def _count(sizes: Iterable[int], most: float) -> int:
    return sum(total <= most for total in accumulate(sorted(sizes)))
