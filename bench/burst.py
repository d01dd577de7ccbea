"""A full pool claimed at one stroke: until the last of 28, and of 100, tasks runs."""

from __future__ import annotations

import time
from functools import partial

import anyio

from bench.engine_api import each_of
from bench.ground import Ground
from bench.harness import Figure, Goal, Measure, Options, compare, interleave, load
from bench.parked import RawParked
from bench.spawn import PARALLEL, by_driver
from bench.warm import WarmPool
from wavepool.drivers.docker import DockerDriver

ROUNDS = {28: 3, 100: 1}
"""Containers -> how often."""
GOAL = Goal(bound=0.3)
TASK = ("/bin/sh", "-c", "echo ready; exec sleep 3600")

OURS, RAW, COLD = "ours", "raw attach", "cold"


async def measure(options: Options) -> list[Figure]:
    """A row for each size."""
    figures: list[Figure] = []
    async with Ground() as ground, DockerDriver() as driver:
        await driver.probe()
        for count, rounds in ROUNDS.items():
            ways: dict[str, Measure] = {
                OURS: partial(_by_pool, ground, count),
                RAW: partial(_by_raw_calls, ground, count),
                COLD: partial(by_driver, ground, driver, count),
            }
            readings = await interleave(ways, rounds=options.rounds(rounds), only_first={COLD: 1})
            figures.append(
                compare(
                    readings,
                    name=f"{count} claimed at once",
                    unit="s",
                    floor=RAW,
                    ours_goal=GOAL if count == min(ROUNDS) else None,
                    beats_rivals=True,
                    note=f"to the first output of the last; cold {PARALLEL} at once; {load()}.",
                )
            )
    return figures


async def _by_pool(ground: Ground, count: int) -> float:
    ran = anyio.Event()
    left = count

    def first_output(at_s: float) -> None:
        nonlocal left, ended_s
        left, ended_s = left - 1, at_s
        if left == 0:
            ran.set()

    ended_s = 0.0
    async with WarmPool(ground, size=count, refills=False) as pool, anyio.create_task_group() as group:
        await pool.filled()
        began_s = time.perf_counter()
        for _ in range(count):
            group.start_soon(pool.run_until_cancelled, TASK, first_output)
        await ran.wait()
        group.cancel_scope.cancel()
    return ended_s - began_s


async def _by_raw_calls(ground: Ground, count: int) -> float:
    parked: list[RawParked] = []

    async def park(numbered: tuple[str, dict[str, object]]) -> None:
        parked.append(await RawParked.park(ground.api, *numbered))

    bodies = [(spec.name, ground.body(spec)) for spec in ground.specs(ground.run_id("raw"), count)]
    await each_of(bodies, park, at_once=PARALLEL)
    began_s = time.perf_counter()
    await each_of(parked, lambda each: each.claim("/bin/sh -c 'echo ready; exec sleep 3600'"), at_once=count)
    took_s = time.perf_counter() - began_s
    await each_of(parked, RawParked.remove, at_once=PARALLEL)
    return took_s
