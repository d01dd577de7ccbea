"""What a container costs against a plain process: whole runs of short tasks on either driver."""

from __future__ import annotations

import json
import time
from functools import partial

from bench.ground import Ground
from bench.harness import Figure, Options, compare, interleave
from wavepool.model import Rules
from wavepool.plan import TierMap, parse_plan
from wavepool.wiring import Hooks, RunRequest, run_plan

TASKS = 20
ROUNDS = 3
PARALLEL = Rules(nodes=()).parallel
"""Starts under way at once, `wavepool run`'s default."""
CONTAINER, SUBPROCESS = "container", "subprocess"


async def measure(options: Options) -> list[Figure]:
    """One row, without a goal: the price of isolation."""
    async with Ground() as ground:
        drivers = {CONTAINER: "docker", SUBPROCESS: "process"}
        ways = {way: partial(_per_task_ms, ground, driver) for way, driver in drivers.items()}
        readings = await interleave(ways, rounds=options.rounds(ROUNDS))
    return [
        compare(
            readings,
            name="a task in a container, against a subprocess",
            unit="ms",
            ours=CONTAINER,
            floor=SUBPROCESS,
            note=f"whole runs of {TASKS} tasks that end at once, divided by their number, {PARALLEL} starts at once; "
            "the ratio is of the container to the subprocess.",
        )
    ]


async def _per_task_ms(ground: Ground, driver: str) -> float:
    batches = [{"batch_id": f"task-{number}", "memory": "16m", "command": ["true"]} for number in range(TASKS)]
    raw = json.dumps({"waves": [{"wave_number": 1, "batches": batches}]}).encode()
    request = RunRequest(
        plan=parse_plan(raw, source="bench", tiers=TierMap()),
        rules=Rules(nodes=()),
        surroundings=ground.surroundings(),
        driver=driver,
        run_id=ground.run_id(driver),
        state_dir=ground.state_dir.path,
    )
    began_s = time.perf_counter()
    report = await run_plan(request, Hooks())
    took_s = time.perf_counter() - began_s
    assert report.exit_code == 0, f"a task failed: {report.result()}"
    return 1000 * took_s / TASKS
