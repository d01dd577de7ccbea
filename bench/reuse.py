"""Tasks a second through reused containers, one and two of them: run, kill what is left, wipe, prove."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import anyio

from bench.ground import Ground
from bench.harness import Figure, Goal, Measure, Options, compare, interleave, load, percentile, single
from bench.reused import RawReused
from bench.warm import COMMAND, WarmPool

ROUNDS = 5
TASKS = 300
"""Of each way in a round, for each container."""
RATE_GOAL = Goal(bound=300.0, at_least=True)
TAIL_GOAL = Goal(bound=20.0)

OURS, RAW = "ours", "raw loop"


async def measure(options: Options) -> list[Figure]:
    """Rows for one and for two containers: the rate, and the tail of a whole task."""
    figures: list[Figure] = []
    async with Ground() as ground:
        for count in (1, 2):
            figures += await _with(ground, count, options.rounds(ROUNDS))
    return figures


async def _with(ground: Ground, count: int, rounds: int) -> list[Figure]:
    took: dict[str, list[float]] = {OURS: [], RAW: []}
    async with WarmPool(ground, size=count, reuse=True) as pool, AsyncExitStack() as raw:
        containers: list[RawReused] = []
        for spec in ground.specs(ground.run_id("reused"), count):
            containers.append(await RawReused.open(ground.api, spec.name, ground.body(spec)))
            raw.push_async_callback(containers[-1].remove)
        ways: dict[str, Measure] = {
            OURS: partial(_rate, [pool.task_s] * count, took[OURS]),
            RAW: partial(_rate, [partial(each.execute, " ".join(COMMAND)) for each in containers], took[RAW]),
        }
        readings = await interleave(ways, rounds=rounds)
    rate = compare(
        readings,
        name=f"reused tasks, {count} container{'s' if count > 1 else ''}",
        unit="1/s",
        floor=RAW,
        ours_goal=RATE_GOAL,
        note=f"{TASKS} tasks of each container in a round, {load()}.",
    )
    tail = single(
        name=f"{rate.name}, p99",
        unit="ms",
        ours=percentile(took[OURS], 99),
        floor=percentile(took[RAW], 99),
        goal=TAIL_GOAL,
        runs={way: len(values) for way, values in took.items()},
        note="a whole task, from its submission until its container is clean.",
    )
    return [rate, tail]


async def _rate(workers: list[Callable[[], Awaitable[float]]], took_ms: list[float]) -> float:
    """Tasks a second with each worker doing one after the other."""

    async def work(one: Callable[[], Awaitable[float]]) -> None:
        took_ms.extend([1000 * await one() for _ in range(TASKS)])

    began_s = time.perf_counter()
    async with anyio.create_task_group() as group:
        for one in workers:
            group.start_soon(work, one)
    return len(workers) * TASKS / (time.perf_counter() - began_s)
