"""Decisions a second: the pure core alone, and with every fact committed to the real SQLite journal.

A decision is one event from outside (it runs, it ended, its logs are archived, it is removed) decided about, with the
facts that follow applied; the look for what can start next that follows each batch is not counted, nor are facts.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from heapq import heappop, heappush
from pathlib import Path
from random import Random

from bench.harness import Figure, Goal, Options, compare, interleave
from bench.simulation import Simulation, make_task, rules_for
from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import AttemptId
from wavepool.units import MIB

TASKS = 20_000
IN_FLIGHT = 256
"""Attempts that run at once. Their durations are whole ticks from 1 to `TICKS`, so that about a third of them are heard
of together: what piles up in the engine's inbox while it decides and commits."""
TICKS = 5
SEED = 20_261_120
DURABLE = (facts.AttemptSettled, facts.RunFinished)
"""As the engine has it: the disk must have these before what follows them is done."""


async def measure(options: Options) -> list[Figure]:
    """Rows: in memory with batches, in memory with each event alone, through SQLite."""
    ways: dict[str, Callable[[], Awaitable[float]]] = {
        "memory": partial(_in_memory, TICKS),
        "alone": partial(_in_memory, None),
        "sqlite": partial(_through_sqlite, TASKS, TICKS),
        "sqlite alone": partial(_through_sqlite, TASKS // 20, None),
        "bare": _bare_loop,
    }
    readings = await interleave(ways, rounds=options.rounds(5))
    batch = _mean_batch()

    def row(way: str, name: str, bound: float | None, note: str) -> Figure:
        return compare(
            {"ours": readings[way], "bare loop": readings["bare"]},
            name=name,
            unit="decisions/s",
            floor="bare loop",
            ours_goal=None if bound is None else Goal(bound=bound, at_least=True),
            note=f"{TASKS:,} tasks, {IN_FLIGHT} in flight; {note}",
        )

    return [
        row("memory", "decisions in memory", 50_000, f"batches of {batch:.0f} events."),
        row("alone", "decisions, one by one", None, "each event is a batch of its own, the worst case."),
        row("sqlite", "decisions through SQLite", 20_000, f"one append for each batch of {batch:.0f} events."),
        row(
            "sqlite alone",
            "decisions through SQLite, one by one",
            None,
            "an append for each, every fourth synced.",
        ),
    ]


def _simulation(ticks: int | None, count: int = TASKS) -> Simulation:
    """`ticks` None: durations are arbitrary, so that no two attempts end together."""
    rng = Random(SEED)
    tasks = [make_task(number, wave=1, memory_bytes=64 * MIB) for number in range(count)]

    def duration_s(attempt: AttemptId) -> float:
        return rng.random() if ticks is None else float(rng.randint(1, ticks))

    return Simulation(tasks, rules_for(IN_FLIGHT * 64 * MIB, parallel=IN_FLIGHT), duration_s)


def _mean_batch() -> float:
    counts = _simulation(TICKS).finish()
    return counts.events / counts.batches


async def _in_memory(ticks: int | None) -> float:
    simulation = _simulation(ticks)
    began_s = time.perf_counter()
    counts = simulation.finish()
    return counts.events / (time.perf_counter() - began_s)


async def _through_sqlite(count: int, ticks: int | None) -> float:
    simulation = _simulation(ticks, count)
    with tempfile.TemporaryDirectory(prefix="wavepool-bench-") as directory:
        async with SqliteJournal(Path(directory) / "journal.db", owner="0" * 16, run_id="bench") as journal:
            await _append(journal, simulation, simulation.opening)
            began_s = time.perf_counter()
            while (decided := simulation.take()) is not None:
                if decided:
                    await _append(journal, simulation, decided)
            await journal.sync()
            took_s = time.perf_counter() - began_s
    return simulation.counts.events / took_s


async def _append(journal: SqliteJournal, simulation: Simulation, decided: list[facts.Fact]) -> None:
    now = simulation.now
    stamped = [Stamped(now.boot_s, now.utc, fact) for fact in decided]
    await journal.append(stamped, durable=any(isinstance(fact, DURABLE) for fact in decided))


async def _bare_loop() -> float:
    """The floor: the same phases of the same tasks, a heap of ends and a dictionary; nothing kept or checked."""
    rng = Random(SEED)
    began_s = time.perf_counter()
    pending = deque(range(TASKS))
    phases: dict[int, int] = {}
    ends: list[tuple[float, int]] = []
    inbox: list[int] = []
    events, now_s, free = 0, 0.0, IN_FLIGHT
    while pending or phases:
        while free and pending:
            free -= 1
            task = pending.popleft()
            phases[task] = 0
            inbox.append(task)
            heappush(ends, (now_s + rng.randint(1, TICKS), task))
        batch, inbox = inbox, []
        if not batch:
            now_s = ends[0][0]
            while ends and ends[0][0] <= now_s:
                batch.append(heappop(ends)[1])
        for task in batch:
            events += 1
            phases[task] += 1
            if phases[task] == 2:
                free += 1
            if phases[task] in (2, 3):
                inbox.append(task)
            elif phases[task] == 4:
                del phases[task]
    return events / (time.perf_counter() - began_s)
