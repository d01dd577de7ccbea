"""The seed's own success criteria, by whole runs of ours: 28 in 5 s, polling below 2%, cleanup in 10 s, 100 at once."""

from __future__ import annotations

import time

import anyio

from bench.engine_run import EngineRun
from bench.ground import Ground
from bench.harness import Figure, Goal, Options
from bench.spawn import by_raw_calls

WAVE = 28
MANY = 100
WINDOW_S = 10.0
DEGRADED = 1.25
"""How much longer each start may take among 100 than among 28 before we call it a degradation; the seed says no number,
its own table has 1.0."""


async def measure(options: Options) -> list[Figure]:
    """Four rows, each one reading unless more runs are asked for; the worst of them counts."""
    readings: dict[str, list[float]] = {"spawn": [], "raw": [], "watch": [], "cleanup": [], "many": []}
    async with Ground() as ground:
        for _ in range(options.rounds(1)):
            readings["raw"].append(await by_raw_calls(ground, WAVE))
            async with EngineRun(ground, WAVE) as run:
                spawned_s = await run.all_started_s()
                busy_s, began_s = time.process_time(), time.monotonic()
                await anyio.sleep(WINDOW_S)
                watched = 100 * (time.process_time() - busy_s) / (time.monotonic() - began_s)
                began_s = time.perf_counter()
            readings["spawn"].append(spawned_s)
            readings["watch"].append(watched)
            readings["cleanup"].append(time.perf_counter() - began_s)
            async with EngineRun(ground, MANY) as run:
                many_s = await run.all_started_s()
                running = len(await ground.api.ids(ground.label, running=True))
            assert running == MANY, f"{running} of {MANY} ran at one instant"
            readings["many"].append((many_s / MANY) / (spawned_s / WAVE))
    return [
        _row(
            "seed: spawn 28",
            "s",
            readings["spawn"],
            5.0,
            "a whole run, to the last start in the journal; the floor is the raw Engine API just before.",
            floor=max(readings["raw"]),
        ),
        _row("seed: poll overhead", "% of the time", readings["watch"], 2.0, "processor time of the whole engine."),
        _row("seed: cleanup of 28", "s", readings["cleanup"], 10.0, "stop, archive logs, verdicts, remove: all of it."),
        _row(
            "seed: scale to 100",
            "x time per start of 28",
            readings["many"],
            DEGRADED,
            "all 100 were seen running at one instant.",
        ),
    ]


def _row(name: str, unit: str, values: list[float], bound: float, note: str, *, floor: float | None = None) -> Figure:
    goal = Goal(bound=bound)
    worst = max(values)
    return Figure(
        name=name,
        unit=unit,
        ours=worst,
        floor=floor,
        ratio=None if floor is None else worst / floor,
        goals=(str(goal),),
        missed=() if goal.is_met(worst) else (str(goal),),
        runs={"ours": len(values)},
        note=note,
    )
