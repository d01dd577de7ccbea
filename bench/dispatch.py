"""A task into a warm container: from its submission to the first byte of its output."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import anyio

from bench.engine_api import each_of
from bench.ground import IMAGE, MEMORY_BYTES, Ground
from bench.harness import Figure, Goal, Measure, Options, compare, interleave, load, percentile, single
from bench.llm_sandbox import LlmSandboxPool
from bench.parked import DEADLINE_S, RawParked
from bench.warm import COMMAND, WarmPool, larger
from wavepool.units import format_size

ROUNDS = 40
BATCH = 4
"""Claims of ours in a round, one right after the other, so that all but the first meet the refiller at work."""
SIZE = BATCH + 1
RIVAL_ROUNDS = 15
RESIZED_ROUNDS = 15

OURS, RAW, RUN, EXEC, LLM = "ours", "raw attach", "docker run", "docker exec", "llm-sandbox"
REFILLED = "raw attach, refilled at once"
RESIZED, RAW_RESIZED = "resized", "raw update and attach"


async def measure(options: Options) -> list[Figure]:
    """Rows: exact claims, their tail, and claims of another size."""
    rounds = options.rounds(ROUNDS)
    kept: dict[str, list[float]] = {}
    async with Ground() as ground, AsyncExitStack() as open_ways:
        pool = await open_ways.enter_async_context(WarmPool(ground, size=SIZE))
        llm = await open_ways.enter_async_context(LlmSandboxPool(ground, 1))
        running = ground.specs(ground.run_id("exec"), 1)[0]
        container_id = await ground.api.create_and_start(running.name, ground.body(running))
        ways: dict[str, Measure] = {
            OURS: partial(_by_pool, pool, kept.setdefault(OURS, [])),
            RAW: partial(_by_raw_calls, ground, kept.setdefault(RAW, [])),
            REFILLED: partial(_by_raw_calls_refilled, ground, kept.setdefault(REFILLED, [])),
            RESIZED: partial(_resized, pool),
            RAW_RESIZED: partial(_resized_by_raw_calls, ground),
            RUN: partial(_by_command, docker_run(ground)),
            EXEC: partial(_by_docker_exec, container_id),
            LLM: llm.one_task,
        }
        limits = {
            RESIZED: RESIZED_ROUNDS,
            RAW_RESIZED: RESIZED_ROUNDS,
            RUN: RIVAL_ROUNDS,
            EXEC: RIVAL_ROUNDS,
            LLM: RIVAL_ROUNDS,
        }
        readings = await interleave(ways, rounds=rounds, only_first=limits)
    return _figures(readings, kept)


def _figures(readings: dict[str, list[float]], kept: dict[str, list[float]]) -> list[Figure]:
    resized, raw_resized, refilled = readings.pop(RESIZED), readings.pop(RAW_RESIZED), readings.pop(REFILLED)
    exact = compare(
        readings,
        name="warm dispatch, p50",
        unit="ms",
        floor=RAW,
        ours_goal=Goal(bound=2.0),
        beats_rivals=True,
        note=f"a single-use container of {format_size(MEMORY_BYTES)}; {BATCH} claims in a row against one refiller; "
        f"the floor's are parked ahead and undisturbed; with a refiller that replaces each at once, the raw line takes "
        f"{statistics.median(refilled):.2f} ms; {load()}.",
    )
    tail = single(
        name="warm dispatch, p99",
        unit="ms",
        ours=percentile(kept[OURS], 99),
        rivals={way: percentile(readings[way], 99) for way in (RUN, EXEC, LLM)}
        | {REFILLED: percentile(kept[REFILLED], 99)},
        floor=percentile(kept[RAW], 99),
        goal=Goal(bound=10.0),
        runs={OURS: len(kept[OURS]), RAW: len(kept[RAW]), REFILLED: len(kept[REFILLED])},
        note=f"of all claims; the slowest of ours {max(kept[OURS]):.1f} ms. Our refiller waits for a pause between "
        "claims while more than a quarter of the pool is at hand; for claims that never pause see `sustained`.",
    )
    other = single(
        name="warm dispatch, resized, p50",
        unit="ms",
        ours=statistics.median(resized),
        floor=statistics.median(raw_resized),
        goal=Goal(bound=20.0),
        runs={OURS: len(resized)},
        note=f"the claim has twice the memory that the container was parked with; the slowest {max(resized):.1f} ms.",
    )
    return [exact, tail, other]


async def _by_pool(pool: WarmPool, kept: list[float]) -> float:
    """The median of a batch, in milliseconds; each is kept."""
    await pool.filled()
    batch = [1000 * await pool.first_output_s() for _ in range(BATCH)]
    kept += batch
    await pool.filled()  # the others are not to meet our refiller
    return statistics.median(batch)


async def _resized(pool: WarmPool) -> float:
    await pool.filled()
    took_s = await pool.first_output_s(limits=larger(pool.agent.limits))
    await pool.filled()
    return 1000 * took_s


async def _by_raw_calls(ground: Ground, kept: list[float]) -> float:
    specs = ground.specs(ground.run_id("raw"), BATCH)
    parked = [await RawParked.park(ground.api, spec.name, ground.body(spec)) for spec in specs]
    batch = [1000 * await each.claim(" ".join(COMMAND)) for each in parked]
    await each_of(parked, RawParked.remove, at_once=2)
    kept += batch
    return statistics.median(batch)


async def _by_raw_calls_refilled(ground: Ground, kept: list[float]) -> float:
    """The same beside one that replaces each claimed container at once, one at a time, as a simple pool would."""
    specs = iter(ground.specs(ground.run_id("raw"), 2 * BATCH))

    parked: list[RawParked] = []

    async def park() -> None:
        spec = next(specs)
        parked.append(await RawParked.park(ground.api, spec.name, ground.body(spec)))

    for _ in range(BATCH):
        await park()
    claimed, claims = anyio.create_memory_object_stream[None](BATCH)

    async def refill() -> None:
        async for _ in claims:
            await park()

    batch: list[float] = []
    async with anyio.create_task_group() as group:
        group.start_soon(refill)
        for each in parked[:BATCH]:
            batch.append(1000 * await each.claim(" ".join(COMMAND)))
            claimed.send_nowait(None)
            await each.ended()
        claimed.close()
    await each_of(parked, RawParked.remove, at_once=2)
    kept += batch
    return statistics.median(batch)


async def _resized_by_raw_calls(ground: Ground) -> float:
    """The one call that changes the memory, and the line."""
    spec = ground.specs(ground.run_id("raw"), 1)[0]
    parked = await RawParked.park(ground.api, spec.name, ground.body(spec))
    wanted = {"Memory": 2 * MEMORY_BYTES, "MemorySwap": 2 * MEMORY_BYTES}
    began_s = time.perf_counter()
    await ground.api.call("POST", f"containers/{parked.id}/update", body=wanted)
    await parked.claim(" ".join(COMMAND))
    took_s = time.perf_counter() - began_s
    await parked.remove()
    return 1000 * took_s


def docker_run(ground: Ground) -> list[str]:
    """The command line of the same task in a container of its own, with our confinement."""
    confined = ["--init", "--cap-drop=ALL", "--memory", format_size(MEMORY_BYTES), "--label", ground.label]
    return ["docker", "run", "--rm", *confined, "--entrypoint", COMMAND[0], IMAGE, *COMMAND[1:]]


async def _by_docker_exec(container_id: str) -> float:
    return await _by_command(["docker", "exec", container_id, *COMMAND])


async def _by_command(command: Sequence[str]) -> float:
    """Milliseconds until the first byte of its output. It is waited for, outside of the clock."""
    began_s = time.perf_counter()
    async with await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=None) as process:
        assert process.stdout is not None
        with anyio.fail_after(DEADLINE_S):
            await process.stdout.receive()
            took_s = time.perf_counter() - began_s
            code = await process.wait()
    assert code == 0, f"{command} ended with {code}"
    return 1000 * took_s
