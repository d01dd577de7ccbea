"""Looking closely at a run of 100,000 tasks while it goes on: what the dashboard's monitor needs for it.

Measured in a process of its own. The journal is written by the pure core, as the engine would have, to nine tenths of
the run; then the run is opened, and goes on: each further piece of it is read, and told as a patch.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from random import Random

import anyio
import anyio.to_thread

from bench.apart import measured_apart
from bench.harness import Figure, Options
from bench.simulation import Simulation, make_task, rules_for
from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.journal.sqlite import SqliteJournal
from wavepool.monitoring.monitor import Monitor
from wavepool.statedir import StateDir
from wavepool.units import MIB

TASKS = 100_000
WAVES = 100
IN_FLIGHT = 256
TICKS = 5
SEED = 1
RUN = "bench"
PATCHES = 200
TICK_S = 0.005
NAMES = {
    "open_cpu_s": ("a run of 100,000 tasks, opened", "s of CPU"),
    "memory_mib": ("a run of 100,000 tasks, memory", "MiB"),
    "delay_p99_ms": ("a loop beside it, p99 late by", "ms"),
    "delay_most_ms": ("a loop beside it, at most late by", "ms"),
    "patch_ms": ("a patch of it", "ms"),
    "document_kb": ("its first document", "kB"),
}


async def measure(options: Options) -> list[Figure]:
    """Rows: opening, memory, delay of the loop, a patch, a document."""
    readings = [await anyio.to_thread.run_sync(measured_apart, "bench.looking") for _ in range(options.rounds(1))]
    note = f"{readings[0]['facts']:,.0f} facts; {readings[0]['patch_tasks']:.0f} tasks in a patch."
    return [
        Figure(
            name=name,
            unit=unit,
            ours=statistics.median(reading[key] for reading in readings),
            runs={"ours": len(readings)},
            note=note,
        )
        for key, (name, unit) in NAMES.items()
    ]


async def _measure_here() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="wavepool-bench-") as directory:
        files = StateDir(Path(directory)).run(RUN)
        with files.lock():
            async with SqliteJournal(files.journal, owner="0" * 16, run_id=RUN) as journal:
                simulation = await _written(journal)
                return await _looked_at(Path(directory), journal, simulation)


async def _written(journal: SqliteJournal) -> Simulation:
    rng = Random(SEED)
    tasks = [make_task(n, wave=n * WAVES // TASKS + 1, memory_bytes=64 * MIB) for n in range(TASKS)]
    rules = rules_for(IN_FLIGHT * 64 * MIB, parallel=IN_FLIGHT)
    simulation = Simulation(tasks, rules, lambda attempt: float(rng.randint(1, TICKS)))
    await _append(journal, simulation, simulation.opening)
    while simulation.state.verdicts.total() < TASKS * 9 // 10:
        await _append(journal, simulation, simulation.take() or [])
    return simulation


async def _append(journal: SqliteJournal, simulation: Simulation, decided: list[facts.Fact]) -> None:
    now = simulation.now
    await journal.append([Stamped(now.boot_s, now.utc, fact) for fact in decided])


async def _looked_at(directory: Path, journal: SqliteJournal, simulation: Simulation) -> dict[str, float]:
    delays: list[float] = []
    async with anyio.create_task_group() as group, Monitor(directory) as monitor:
        while not monitor.overview.document()["figures"]["tasks"]["total"]:  # its line costs too, and comes before
            await anyio.sleep(0.1)
            monitor.overview.take_patch()
        before_mib, before_s = _memory_mib(), time.process_time()
        group.start_soon(_tick, delays)
        channel = await monitor.open_run(RUN)
        open_cpu_s, memory_mib = time.process_time() - before_s, _memory_mib() - before_mib
        late = sorted(delays)
        patches_s, told = [], []
        for _ in range(PATCHES):
            await _append(journal, simulation, simulation.take() or [])
            await channel.run.catch_up()
            began_s = time.perf_counter()
            patch = channel.take_patch() or {}
            patches_s.append(time.perf_counter() - began_s)
            told.append(len(patch.get("tasks", ())))
        document = json.dumps(channel.document())
        group.cancel_scope.cancel()
    return {
        "facts": float(round(channel.run.fold.facts, -3)),
        "open_cpu_s": open_cpu_s,
        "memory_mib": memory_mib,
        "delay_p99_ms": 1000 * late[int(len(late) * 0.99)],
        "delay_most_ms": 1000 * late[-1],
        "patch_ms": 1000 * statistics.median(patches_s),
        "patch_tasks": statistics.median(told),
        "document_kb": len(document) / 1000,
    }


async def _tick(delays: list[float]) -> None:
    while True:
        began_s = time.perf_counter()
        await anyio.sleep(TICK_S)
        delays.append(time.perf_counter() - began_s - TICK_S)


def _memory_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / MIB


if __name__ == "__main__":
    print(json.dumps(anyio.run(_measure_here)))
