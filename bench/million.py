"""A million tasks: the memory that a run takes beyond its plan, and how long the pure core needs.

Measured in a process of its own. The plan's tasks are made as parsing leaves them and counted as there before. Then the
plan is committed to a real SQLite journal, the run goes to its end in the core alone, its facts thrown away, and the
highest memory is read.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from pathlib import Path
from random import Random

import anyio
import anyio.to_thread

from bench.apart import measured_apart
from bench.harness import Figure, Goal, Options
from bench.simulation import Simulation, make_task, rules_for
from wavepool.core.facts import Stamped
from wavepool.journal.sqlite import SqliteJournal
from wavepool.units import GIB, MIB

TASKS = 1_000_000
WAVES = 1000
IN_FLIGHT = 256
TICKS = 5
SEED = 1


async def measure(options: Options) -> list[Figure]:
    """Rows: memory, time."""
    readings = [await anyio.to_thread.run_sync(measured_apart, "bench.million") for _ in range(options.rounds(1))]
    beyond_gib = max(reading["beyond_bytes"] for reading in readings) / GIB
    took_s = max(reading["took_s"] for reading in readings)
    goal = Goal(bound=1.0)
    note = (
        f"{TASKS:,} tasks in {WAVES:,} waves, rolling, {IN_FLIGHT} in flight; its tasks alone take "
        f"{readings[0]['plan_bytes'] / GIB:.2f} GiB."
    )
    return [
        Figure(
            name="a million tasks, memory",
            unit="GiB beyond the plan",
            ours=beyond_gib,
            goals=(str(goal),),
            missed=() if goal.is_met(beyond_gib) else (str(goal),),
            runs={"ours": len(readings)},
            note=note,
        ),
        Figure(
            name="a million tasks, time",
            unit="s",
            ours=took_s,
            runs={"ours": len(readings)},
            note=f"{readings[0]['events'] / took_s:,.0f} decisions a second, without a journal; before, the plan's "
            f"commit to one took {readings[0]['opening_s']:.1f} s.",
        ),
    ]


def _measure_here() -> dict[str, float]:
    empty_bytes = _memory_bytes("VmRSS")
    tasks = [make_task(n, wave=n * WAVES // TASKS + 1, memory_bytes=64 * MIB) for n in range(TASKS)]
    gc.collect()
    plan_bytes = _memory_bytes("VmRSS")
    gc.freeze()  # the plan is no garbage; the CLI reads it with the collector paused
    rng = Random(SEED)
    rules = rules_for(IN_FLIGHT * 64 * MIB, parallel=IN_FLIGHT)
    simulation = Simulation(tasks, rules, lambda attempt: float(rng.randint(1, TICKS)))
    opening_s = anyio.run(_commit_opening, simulation)
    began_s = time.perf_counter()
    counts = simulation.finish()
    took_s = time.perf_counter() - began_s
    assert simulation.state.verdicts.total() == TASKS
    return {
        "plan_bytes": plan_bytes - empty_bytes,
        "beyond_bytes": _memory_bytes("VmHWM") - plan_bytes,
        "opening_s": opening_s,
        "took_s": took_s,
        "events": counts.events,
    }


async def _commit_opening(simulation: Simulation) -> float:
    """Seconds for the run's first commit, with the whole plan in it; its facts are let go of."""
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="wavepool-bench-") as directory:
        async with SqliteJournal(Path(directory) / "journal.db", owner="0" * 16, run_id="bench") as journal:
            now = simulation.now
            await journal.append([Stamped(now.boot_s, now.utc, fact) for fact in simulation.opening])
            took_s = time.perf_counter() - began_s
    simulation.opening.clear()
    return took_s


def _memory_bytes(field: str) -> int:
    """A reading of this process, as proc(5) has it: VmRSS is now, VmHWM the highest so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


if __name__ == "__main__":
    print(json.dumps(_measure_here()))
