"""Resume: from the command to the first new start, of 1,000 tasks on Docker and as processes, and of a million.

The runs of 1,000 are real: killed with SIGKILL when 500 of their tasks are final, taken up by `wavepool resume`, killed
again at the first new start, and so on. The million's journal is written by the pure core (half of it is done, with
every fact that the engine would have written); the command that takes it up is the real one, on the process driver.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import anyio

from bench.ground import IMAGE
from bench.harness import Figure, Goal, Options
from bench.simulation import Simulation, make_task, rules_for
from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.drivers.process import ProcessDriver
from wavepool.engine.clock import SystemClock
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import Schedule, Surroundings, Task
from wavepool.testing.chaos.ground import Ground
from wavepool.testing.chaos.orchestrator import Orchestrator
from wavepool.units import GIB, MIB

TASKS = 1000
MILLION = 1_000_000
WAVES = 1000
RUN = "resumed"
DEADLINE_S = 900.0
LOOK_AGAIN_S = 0.005
GOAL_S, MILLION_GOAL_S = 5.0, 60.0


async def measure(options: Options) -> list[Figure]:
    """Rows: 1,000 on Docker, 1,000 as processes, a million, and its memory."""
    figures = [await _thousand(driver, options.rounds(5)) for driver in ("docker", "process")]
    return [*figures, *await _million(options.rounds(1))]


async def _thousand(driver: str, rounds: int) -> Figure:
    with tempfile.TemporaryDirectory(prefix="wavepool-bench-") as directory:
        async with Ground(Path(directory), driver=driver, image=IMAGE) as ground:
            batches = [
                {"batch_id": f"t{number}", "memory": "16m", "files": [], "command": ["true"]} for number in range(TASKS)
            ]
            run = await ground.run(ground.plan(batches), RUN, "--isolate", "none", "--timeout", "6h")
            await run.until(lambda: _final(ground) >= TASKS // 2, "half of the tasks", DEADLINE_S)
            await run.kill()
            readings, floors = [], []
            for _ in range(rounds):
                floors.append(await _bare_command(ground))
                readings.append((await _to_first_start(ground)).took_s)
            done = _final(ground)
    goal = Goal(bound=GOAL_S)
    ours, floor = statistics.median(readings), statistics.median(floors)
    return Figure(
        name=f"resume 1,000 tasks, {driver}",
        unit="s",
        ours=ours,
        floor=floor,
        ratio=ours / floor,
        goals=(str(goal),),
        missed=() if goal.is_met(ours) else (str(goal),),
        runs={"ours": rounds},
        note=f"from the command to the first new start in the journal; the last one was at {done} final tasks, the "
        f"slowest took {max(readings):.2f} s. The floor is `wavepool --help`: an interpreter and its imports.",
    )


async def _million(rounds: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="wavepool-bench-") as directory:
        async with Ground(Path(directory), driver="process", image=IMAGE) as ground:
            written = await _write_half(ground, MILLION, WAVES)
            readings = [await _to_first_start(ground) for _ in range(rounds)]
            size_bytes = ground.state.run(RUN).journal.stat().st_size
    took_s, cpu_s, peak_bytes = (statistics.median(values) for values in zip(*readings, strict=True))
    goal = Goal(bound=MILLION_GOAL_S)
    return [
        Figure(
            name="resume a million tasks",
            unit="s",
            ours=took_s,
            goals=(str(goal),),
            missed=() if goal.is_met(took_s) else (str(goal),),
            runs={"ours": rounds},
            note=f"half of them done: {written:,} facts, {size_bytes / GIB:.2f} GiB of journal; from the command to "
            f"the first new start, in {cpu_s:.1f} s of processor time (the rest is the machine's other work).",
        ),
        Figure(
            name="resume a million tasks, memory",
            unit="GiB",
            ours=peak_bytes / GIB,
            runs={"ours": rounds},
            note="the highest of the whole process (VmHWM), its plan included.",
        ),
    ]


def _final(ground: Ground) -> int:
    """How many tasks are final; cheap where nothing can have come to an end yet."""
    if ground.committed(RUN) < TASKS:
        return 0
    return sum(isinstance(stamped.fact, facts.TaskSettled) for stamped in ground.facts(RUN))


async def _bare_command(ground: Ground) -> float:
    began_s = time.perf_counter()
    command = await ground.command("--help")
    await command.finish(DEADLINE_S)
    return time.perf_counter() - began_s


class Reading(NamedTuple):
    """Seconds from the command to the first new StartIntended in the journal; the process's CPU time, and its peak."""

    took_s: float
    cpu_s: float
    peak_bytes: float


async def _to_first_start(ground: Ground) -> Reading:
    reader = ground.journal(RUN)
    known = before = reader.committed()
    began_s = time.perf_counter()
    command = await ground.resume(RUN)
    while command.exit_code is None and time.perf_counter() - began_s < DEADLINE_S:
        if (now := reader.committed()) > known:
            known = now
            new = [stamped.fact for stamped in reader.read(before + 1)]
            if any(isinstance(fact, facts.StartIntended) for fact in new):
                took_s = time.perf_counter() - began_s
                reading = Reading(took_s, _cpu_s(command), _peak_bytes(command))
                await command.kill()
                return reading
        await anyio.sleep(LOOK_AGAIN_S)
    raise RuntimeError(f"no new start came: {command.last_words()}")


def _cpu_s(command: Orchestrator) -> float:
    """As proc(5) has it: what stands behind the name, the 12th and 13th word."""
    words = Path(f"/proc/{command.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _peak_bytes(command: Orchestrator) -> float:
    for line in Path(f"/proc/{command.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc")


async def _write_half(ground: Ground, count: int, waves: int) -> int:
    """The journal of a run of `count` tasks of which every wave of the first half is settled; how many facts."""
    tasks = [_runnable(make_task(n, wave=n * waves // count + 1, memory_bytes=64 * MIB)) for n in range(count)]
    rules = rules_for(256 * 64 * MIB, schedule=Schedule.BARRIER, parallel=256)
    simulation = Simulation(tasks, rules, lambda attempt: 1.0)
    files = ground.state.run(RUN)
    files.create()
    async with SqliteJournal(files.journal, owner=ground.state.owner(), run_id=RUN) as journal:
        simulation.opening[0] = await _as_of_here(ground, simulation.opening[0])
        clock = SystemClock()

        async def append(decided: list[facts.Fact]) -> None:
            now = clock.now()
            await journal.append([Stamped(now.boot_s, now.utc, fact) for fact in decided])

        written = len(simulation.opening)
        await append(simulation.opening)
        while not simulation.state.waves[waves // 2].settled:
            decided = simulation.take() or []
            cut = _end_of_wave(decided, waves // 2)
            await append(decided[:cut])
            written += cut
        await journal.sync()
    return written


def _end_of_wave(decided: list[facts.Fact], wave: int) -> int:
    """Where the facts of this wave end: after it was settled, and before the next one opens."""
    for position, fact in enumerate(decided, start=1):
        if isinstance(fact, facts.WaveSettled) and fact.wave == wave:
            return position
    return len(decided)


def _runnable(task: Task) -> Task:
    return replace(task, command=("true",))


async def _as_of_here(ground: Ground, fact: facts.Fact) -> facts.Fact:
    """The first fact as this machine's process driver would have it."""
    assert isinstance(fact, facts.RunOpened)
    async with ProcessDriver(base_dir=ground.state.processes()) as driver:
        found = await driver.probe()
    return replace(
        fact,
        run_id=RUN,
        owner=ground.state.owner(),
        driver=found.driver,
        execution_mode=found.execution_mode,
        boot_id=SystemClock().boot_id,
        surroundings=Surroundings(image="none", workspace=str(ground.workspace), network="none"),
    )
