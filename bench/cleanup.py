"""Cleanup of 28 and of 100 ended containers, against the raw Engine API and the seed's `docker rm` loop."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from bench.engine_api import each_of
from bench.ground import Ground
from bench.harness import Figure, Goal, Measure, Options, compare, interleave
from wavepool import labels
from wavepool.drivers.base import Scope
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.docker.remains.removal import AT_ONCE

ROUNDS = {28: 4, 100: 2}
"""Containers -> how often."""
RIVAL_ROUNDS = {28: 1, 100: 1}
GOAL = Goal(bound=1.10, of="ratio")

OURS, RAW, LOOP = "ours", "raw API", "docker rm loop"


async def measure(options: Options) -> list[Figure]:
    """A row for each size."""
    figures: list[Figure] = []
    async with Ground() as ground, DockerDriver() as driver:
        await driver.probe()
        for count, rounds in ROUNDS.items():
            ways: dict[str, Measure] = {
                OURS: partial(_by_driver, ground, driver, count),
                RAW: partial(_by_raw_calls, ground, count),
                LOOP: partial(_by_loop, ground, count),
            }
            readings = await interleave(
                ways, rounds=options.rounds(rounds), only_first={LOOP: min(RIVAL_ROUNDS[count], rounds)}
            )
            figures.append(
                compare(
                    readings,
                    name=f"cleanup of {count}",
                    unit="s",
                    floor=RAW,
                    ratio_goal=GOAL,
                    beats_rivals=True,
                    note=f"a listing and removals, {AT_ONCE} at once; the loop one by one.",
                )
            )
    return figures


async def _make(ground: Ground, count: int) -> str:
    """The run id of containers that have run and ended. Without a network: an ended one holds none any more."""
    run_id = ground.run_id("cleanup")
    specs = ground.specs(run_id, count, ("true",))
    bodies = [(spec.name, ground.body(spec)) for spec in specs]
    for _, body in bodies:
        body["HostConfig"]["NetworkMode"] = "none"

    async def run(item: tuple[str, dict[str, Any]]) -> None:
        await ground.api.wait(await ground.api.create_and_start(*item))

    await each_of(bodies, run, at_once=5)
    return run_id


async def _by_driver(ground: Ground, driver: DockerDriver, count: int) -> float:
    run_id = await _make(ground, count)
    began_s = time.perf_counter()
    removed = await driver.remove(Scope(owner=ground.owner, run_id=run_id))
    took_s = time.perf_counter() - began_s
    assert len(removed.containers) == count, removed.errors
    return took_s


async def _by_raw_calls(ground: Ground, count: int) -> float:
    label = f"{labels.RUN}={await _make(ground, count)}"
    began_s = time.perf_counter()
    await each_of(await ground.api.ids(label), ground.api.delete, at_once=AT_ONCE)
    return time.perf_counter() - began_s


async def _by_loop(ground: Ground, count: int) -> float:
    label = f"{labels.RUN}={await _make(ground, count)}"
    began_s = time.perf_counter()
    await ground.shell("remove_loop.sh", label)
    return time.perf_counter() - began_s
