"""Single-use tasks a second that a warm pool keeps up, and how many find a container ready at four fifths of that."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random

import anyio
from anyio.abc import TaskGroup

from bench.dispatch import docker_run
from bench.engine_api import each_of
from bench.ground import Ground
from bench.harness import Figure, Goal, Measure, Options, compare, interleave, load, percentile, single
from bench.parked import RawParked
from bench.warm import COMMAND, WarmPool

ROUNDS = 3
TASKS = 60
"""Of each way in a round."""
CLIENTS = 4
"""Who submit one task after the other; removals of the floor go on beside its parking, as many at once."""
MORE_PARKERS = 4
SIZE = 12
ARRIVALS = 300
PART = 0.8
SEED = 11
RATE_GOAL = Goal(bound=0.9, of="ratio", at_least=True)
HITS_GOAL = Goal(bound=99.0, at_least=True)

OURS, RAW, RAW_MORE, RUN = "ours", "raw cycle", f"raw cycle, {MORE_PARKERS} at once", "docker run"


async def measure(options: Options) -> list[Figure]:
    """Rows: the rate when there is always another task, and the hits of arrivals at random moments below it."""
    async with Ground() as ground:
        ways: dict[str, Measure] = {
            OURS: partial(_by_pool, ground),
            RAW: partial(_by_raw_calls, ground, 1),
            RAW_MORE: partial(_by_raw_calls, ground, MORE_PARKERS),
            RUN: partial(_by_docker_run, ground),
        }
        readings = await interleave(ways, rounds=options.rounds(ROUNDS))
        rate = compare(
            readings,
            name="single-use tasks a second",
            unit="1/s",
            floor=RAW,
            ratio_goal=RATE_GOAL,
            note=f"{CLIENTS} clients, each with the next task at once, to the end of the last one; "
            f"the floor parks one at a time, as we do, and removes {CLIENTS} at once beside it; {load()}.",
        )
        return [rate, *await _hits(ground, PART * statistics.median(readings[RAW]))]


async def _by_pool(ground: Ground) -> float:
    async with WarmPool(ground, size=CLIENTS) as pool:
        began_s = time.perf_counter()
        await _by_clients(pool.task_s)
        took_s = time.perf_counter() - began_s
    return TASKS / took_s


async def _by_raw_calls(ground: Ground, parkers: int) -> float:
    specs = iter(ground.specs(ground.run_id("raw"), TASKS))
    removing = anyio.CapacityLimiter(CLIENTS)
    ended_s = began_s = time.perf_counter()

    async def use(parked: RawParked) -> None:
        nonlocal ended_s
        async with removing:
            await parked.claim(" ".join(COMMAND))
            await parked.ended()
            ended_s = time.perf_counter()
            await parked.remove()

    async def park(group: TaskGroup) -> None:
        for spec in specs:
            group.start_soon(use, await RawParked.park(ground.api, spec.name, ground.body(spec)))

    async with anyio.create_task_group() as group:
        for _ in range(parkers):
            group.start_soon(park, group)
    return TASKS / (ended_s - began_s)


async def _by_docker_run(ground: Ground) -> float:
    began_s = time.perf_counter()
    await _by_clients(lambda: anyio.run_process(docker_run(ground), stdin=subprocess.DEVNULL))
    return TASKS / (time.perf_counter() - began_s)


async def _by_clients(one: Callable[[], Awaitable[object]]) -> None:
    await each_of(range(TASKS), lambda _: one(), at_once=CLIENTS)


async def _hits(ground: Ground, rate: float) -> list[Figure]:
    """Poisson arrivals at this rate, with the time from submission to first output of each."""
    gaps = Random(SEED)
    took_ms: list[float] = []

    async def one(pool: WarmPool) -> None:
        took_ms.append(1000 * await pool.first_output_s(may_be_cold=True))

    async with WarmPool(ground, size=SIZE) as pool:
        await pool.filled()
        due_s = time.monotonic()
        async with anyio.create_task_group() as group:
            for _ in range(ARRIVALS):
                due_s += gaps.expovariate(rate)
                await anyio.sleep(max(0.0, due_s - time.monotonic()))
                group.start_soon(one, pool)
        hits = pool.hits_percent()
    about = f"{ARRIVALS} Poisson arrivals, {rate:.2f} a second, {PART:.0%} of the floor's rate; a pool of {SIZE}; "
    return [
        single(
            name=f"hits at {PART:.0%} of it",
            unit="%",
            ours=hits,
            goal=HITS_GOAL,
            runs={OURS: ARRIVALS},
            note=about + f"{load()}.",
        ),
        single(
            name=f"warm dispatch at {PART:.0%} of it, p99",
            unit="ms",
            ours=percentile(took_ms, 99),
            goal=Goal(bound=10.0),
            runs={OURS: ARRIVALS},
            note=f"the same arrivals; their median {statistics.median(took_ms):.2f} ms.",
        ),
    ]
