"""Whole runs on the simulated engine in virtual time: the real session, loop and journal; only the host is replaced.

`crash_everywhere` stops such a run at every commit and every action, one at a time, recovers it, and compares.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from wavepool.agents.base import AgentAdapter
from wavepool.core.events import Now
from wavepool.core.facts import Outcome
from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.engine.clock import Clock
from wavepool.engine.listener import Listener
from wavepool.engine.order import Order
from wavepool.engine.replay import take_up
from wavepool.engine.report import RunReport
from wavepool.engine.session import Session
from wavepool.engine.usage.recorder import UsageRecorder
from wavepool.engine.watching.pressure import ReadPressure
from wavepool.journal.base import Journal
from wavepool.journal.memory import MemoryJournal
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import Rules, Surroundings
from wavepool.plan import Plan, TierMap, parse_plan
from wavepool.statedir import RunDir, StateDir
from wavepool.testing.kill_points import KillSwitch, until_killed, wrap_driver, wrap_journal
from wavepool.testing.virtual_time import run_virtual
from wavepool.workspace.base import Workspaces

IMAGE = "simulated:latest"
RUN_ID = "simulated"


class VirtualClock(Clock):
    """The virtual loop's time; its days begin on 1 January 2026."""

    @property
    def boot_id(self) -> str:
        return "simulated"

    def now(self) -> Now:
        time_s = anyio.current_time()
        return Now(time_s, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=time_s))


@dataclass(frozen=True, kw_only=True)
class SimulatedRun:
    """One run of `plan` on `world`, which outlives its processes.

    Attributes:
        directory: for the state directory; `durable` False keeps the journal in memory (one process only).
        notices: what a person was told, by all processes.
        adapters: of the agents, by name.
        workspaces: makes those of each process; None for the directory itself.
        listeners: of every process.
        read_pressure: what the host says of its pressure; None where it says nothing.
        records_usage: whether what is used is written down beside the journal.
    """

    plan: Plan
    rules: Rules
    world: MemoryWorld
    directory: Path
    durable: bool = True
    notices: list[str] = field(default_factory=list)
    adapters: Mapping[str, AgentAdapter] = field(default_factory=dict)
    workspaces: Callable[[RunDir], Workspaces] | None = None
    read_pressure: ReadPressure | None = None
    listeners: Sequence[Listener] = ()
    records_usage: bool = False

    def process(self, switch: KillSwitch | None = None) -> RunReport | None:
        """What one process does: begin, or go on. None where `switch` killed it."""
        journal = self._journal()
        return run_virtual(self._session, journal, switch or KillSwitch(), busy=lambda: journal.pending > 0)

    @property
    def files(self) -> RunDir:
        """The run's directory."""
        return StateDir(self.directory).run(RUN_ID)

    def _journal(self) -> Journal:
        self.files.create()
        return SqliteJournal(self.files.journal, run_id=RUN_ID) if self.durable else MemoryJournal()

    async def _session(self, journal: Journal, switch: KillSwitch) -> RunReport | None:
        with until_killed(switch), self.files.lock():
            async with wrap_driver(MemoryDriver(self.world), switch) as driver, wrap_journal(journal, switch) as kept:
                clock = VirtualClock()
                around = Surroundings(image=IMAGE, workspace=str(self.directory), network="simulated-net")
                session = Session(
                    order=Order(plan=self.plan, rules=self.rules, surroundings=around),
                    replayed=await take_up(kept),
                    driver=driver,
                    driver_facts=await driver.probe(),
                    journal=kept,
                    clock=clock,
                    state_dir=StateDir(self.directory),
                    files=self.files,
                    notice=self.notices.append,
                    adapters=self.adapters,
                    workspaces=None if self.workspaces is None else self.workspaces(self.files),
                    read_pressure=self.read_pressure,
                    listeners=self.listeners,
                    recorder=UsageRecorder(self.files.usage, clock) if self.records_usage else None,
                )
                return await session.run()
        return None


@dataclass(kw_only=True)
class CrashReport:
    """What `crash_everywhere` saw.

    Attributes:
        points: the names of the points of an undisturbed run.
        kills: how many runs were killed and recovered.
        differences: sentences about recovered runs that were not as the undisturbed one.
    """

    points: list[str] = field(default_factory=list)
    kills: int = 0
    differences: list[str] = field(default_factory=list)


def crash_everywhere(
    raw_plan: Mapping[str, Any] | Plan,
    rules: Rules,
    directory: Path,
    *,
    every: int = 1,
    only: str = "",
    adapters: Mapping[str, AgentAdapter] | None = None,
    workspaces: Callable[[RunDir], Workspaces] | None = None,
) -> CrashReport:
    """Kill a run at each `every`-th point, recover it in a new process, and compare it with an undisturbed one.

    With `only` points count whose names that expression is found in.

    What must agree is each task's verdict and number of attempts. No attempt may be executed twice, the budget must
    hold, and nothing may be left in the world.
    """
    plan = raw_plan if isinstance(raw_plan, Plan) else _plan_of(raw_plan)
    report = CrashReport()
    switch = KillSwitch()
    fresh = partial(_fresh, plan, rules, directory, adapters or {}, workspaces)
    with fresh() as undisturbed:
        expected = _verdicts(undisturbed.process(switch))
        report.differences += _broken_promises(undisturbed, "undisturbed")
    report.points = switch.points
    chosen = [number for number, name in enumerate(switch.points, start=1) if re.search(only, name)]
    for point in chosen[::every]:
        where = f"killed at {point}: {switch.points[point - 1]}"
        with fresh() as run:
            _kill_and_recover(run, point, where, expected, report)
    return report


def _kill_and_recover(
    run: SimulatedRun, point: int, where: str, expected: dict[str, tuple[str, int]], report: CrashReport
) -> None:
    switch = KillSwitch(kill_at=point)
    run.process(switch)
    if not switch.dead:
        report.differences.append(f"{where}: never reached")
        return
    report.kills += 1
    found = _verdicts(run.process())
    if found != expected:
        differing = {task: (found.get(task), expected[task]) for task in expected if found.get(task) != expected[task]}
        report.differences.append(f"{where}: (found, expected) differ: {differing}")
    report.differences += _broken_promises(run, where)


def _verdicts(report: RunReport | None) -> dict[str, tuple[str, int]]:
    assert report is not None, "an undisturbed process ended without a report"
    assert report.outcome in (Outcome.SUCCESS, Outcome.FAILED), report.outcome
    entries = [entry for wave in report.result()["waves"] for entry in wave["containers"]]
    return {entry["batch_id"]: (entry["verdict"], entry["attempts"]) for entry in entries}


def _broken_promises(run: SimulatedRun, where: str) -> Iterator[str]:
    world = run.world
    for (_, attempt), times in world.executions.items():
        if times > 1:
            yield f"{where}: attempt {attempt} was executed {times} times"
    for node in run.rules.for_attempts():
        if world.peak_memory_bytes.get(node.name, 0) > node.capacity.memory_bytes:
            yield f"{where}: {node.name} held {world.peak_memory_bytes[node.name]} bytes, above its budget"
    for left in (*world.container_names(), *world.networks):
        yield f"{where}: {left} was left behind"


def _plan_of(raw: Mapping[str, Any]) -> Plan:
    return parse_plan(json.dumps(raw).encode(), source="crash plan", tiers=TierMap())


@contextmanager
def _fresh(
    plan: Plan,
    rules: Rules,
    directory: Path,
    adapters: Mapping[str, AgentAdapter],
    workspaces: Callable[[RunDir], Workspaces] | None,
) -> Iterator[SimulatedRun]:
    """A new world, and an empty directory that is gone afterwards."""
    place = directory / "crash"
    place.mkdir(parents=True)
    try:
        world = MemoryWorld(nodes=rules.nodes)
        yield SimulatedRun(
            plan=plan, rules=replace(rules), world=world, directory=place, adapters=adapters, workspaces=workspaces
        )
    finally:
        shutil.rmtree(place)
