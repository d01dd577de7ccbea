"""Cold spawn of 28 and of 100 containers, against the raw Engine API and the seed's shell loops."""

from __future__ import annotations

import time
from functools import partial

from bench.engine_api import each_of
from bench.engine_run import EngineRun
from bench.ground import IMAGE, MEMORY_BYTES, Ground
from bench.harness import Figure, Goal, Measure, Options, Readings, compare, interleave
from wavepool import labels
from wavepool.drivers.docker import DockerDriver
from wavepool.model import Rules
from wavepool.units import format_size

PARALLEL = Rules(nodes=()).parallel
"""Five starts at once, `wavepool run`'s default; xargs has as many."""
ROUNDS = {28: 3, 100: 2}
"""Containers -> how often."""
GOAL = Goal(bound=1.10, of="ratio")

OURS, RUN, RAW, XARGS = "ours", "whole run", "raw API", "xargs -P5"
LOOP, SEED_XARGS = "docker run loop", "xargs -P5, unconfined"


async def measure(options: Options) -> list[Figure]:
    """Rows: the driver's starts for each size, and the whole engine's for the smaller one."""
    figures: list[Figure] = []
    async with Ground() as ground, DockerDriver() as driver:
        await driver.probe()
        for count in ROUNDS:
            figures += _figures(count, await _readings(ground, driver, count, options))
    return figures


async def _readings(ground: Ground, driver: DockerDriver, count: int, options: Options) -> Readings:
    ways: dict[str, Measure] = {
        OURS: partial(by_driver, ground, driver, count),
        RAW: partial(by_raw_calls, ground, count),
        RUN: partial(_by_engine, ground, count),
        LOOP: partial(_by_shell, ground, count, "serial_run.sh"),
        XARGS: partial(_by_shell, ground, count, "xargs_run.sh", "same"),
        SEED_XARGS: partial(_by_shell, ground, count, "xargs_run.sh", "seed"),
    }
    if count != min(ROUNDS):
        del ways[RUN], ways[SEED_XARGS]
    return await interleave(ways, rounds=options.rounds(ROUNDS[count]), only_first={LOOP: 1, SEED_XARGS: 1})


def _figures(count: int, readings: Readings) -> list[Figure]:
    whole = readings.pop(RUN, [])
    unconfined = readings.pop(SEED_XARGS, [])
    without = f" (without it {unconfined[0]:.2f} s, once)" if unconfined else ""
    starts = compare(
        readings,
        name=f"cold spawn of {count}",
        unit="s",
        floor=RAW,
        ratio_goal=GOAL,
        beats_rivals=True,
        note=f"{PARALLEL} starts at once, {format_size(MEMORY_BYTES)} each, on the default bridge; xargs with the same "
        f"confinement{without}, the loop with the seed's options.",
    )
    if not whole:
        return [starts]
    through = compare(
        {**readings, OURS: whole},
        name=f"cold spawn of {count}, whole run",
        unit="s",
        floor=RAW,
        beats_rivals=True,
        note="the same from `run_plan` to the last start in the journal: plan, lock, journal, image, watch, slots.",
    )
    return [starts, through]


async def by_driver(ground: Ground, driver: DockerDriver, count: int) -> float:
    """Seconds until our driver has started that many."""
    specs = ground.specs(ground.run_id("spawn"), count)
    began_s = time.perf_counter()
    await each_of(specs, driver.start, at_once=PARALLEL)
    return await _checked(ground, count, time.perf_counter() - began_s)


async def by_raw_calls(ground: Ground, count: int) -> float:
    """The floor, in seconds: create and start, with the bodies that the driver would send."""
    bodies = [(spec.name, ground.body(spec)) for spec in ground.specs(ground.run_id("spawn"), count)]
    began_s = time.perf_counter()
    await each_of(bodies, lambda item: ground.api.create_and_start(*item), at_once=PARALLEL)
    return await _checked(ground, count, time.perf_counter() - began_s)


async def _by_shell(ground: Ground, count: int, script: str, *options: str) -> float:
    label = f"{labels.OWNER}={ground.owner}"
    began_s = time.perf_counter()
    await ground.shell(script, IMAGE, format_size(MEMORY_BYTES), str(ground.workspace), label, str(count), *options)
    return await _checked(ground, count, time.perf_counter() - began_s)


async def _by_engine(ground: Ground, count: int) -> float:
    async with EngineRun(ground, count) as run:
        return await _checked(ground, count, await run.all_started_s(), clear=False)


async def _checked(ground: Ground, count: int, took_s: float, *, clear: bool = True) -> float:
    """`took_s`, once it is seen that all of them run; then they are removed."""
    running = await ground.api.ids(ground.label, running=True)
    assert len(running) == count, f"{len(running)} of {count} containers run"
    if clear:
        await ground.clear()
    return took_s
