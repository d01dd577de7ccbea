"""A dead run's journal is told what became of its attempts; a resume afterwards finds nothing but the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wavepool.core.facts import Outcome
from wavepool.drivers.base import Observation, Scope, Synced
from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.engine.recover.ledger import Ledger, attempts_of
from wavepool.engine.recover.runs import RunState, look_at
from wavepool.engine.replay import take_up
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import Isolation, LogRecord, Node, Resources, Rules
from wavepool.plan import TierMap, parse_plan
from wavepool.statedir import StateDir
from wavepool.testing.kill_points import KillSwitch
from wavepool.testing.virtual_time import run_virtual
from wavepool.testing.whole_runs import RUN_ID, SimulatedRun, VirtualClock
from wavepool.units import GIB

ENDS, RUNS, NEXT = "ends", "runs", "next"


def batch(name: str, *words: str) -> dict[str, Any]:
    return {"batch_id": name, "memory": "64m", "files": [], "command": ["sim", *words]}


PLAN = {
    "waves": [
        {"wave_number": 1, "batches": [batch(ENDS, "duration=1", "exit=3"), batch(RUNS, "duration=500")]},
        {"wave_number": 2, "batches": [batch(NEXT, "duration=1")]},
    ]
}


def make_run(directory: Path) -> SimulatedRun:
    nodes = (Node(name="local", capacity=Resources(GIB)),)
    plan = parse_plan(json.dumps(PLAN).encode(), source="plan", tiers=TierMap())
    rules = Rules(nodes=nodes, keep_going=True, isolation=Isolation.WAVE)
    return SimulatedRun(plan=plan, rules=rules, world=MemoryWorld(nodes=nodes), directory=directory)


def killed_at(point: str, directory: Path) -> SimulatedRun:
    counted = KillSwitch()
    make_run(directory / "counted").process(counted)
    run = make_run(directory / "killed")
    assert run.process(KillSwitch(kill_at=counted.points.index(point) + 1)) is None
    return run


def reap(run: SimulatedRun, *, dies_after_reach: bool = False) -> None:
    """As the reaper does it, on the simulated engine."""
    journal = SqliteJournal(run.files.journal, run_id=RUN_ID)

    async def work() -> None:
        with run.files.lock(as_its_process=False):
            async with journal, MemoryDriver(run.world) as driver:
                ledger, live = await opened(run, journal, driver)
                for attempt in live:
                    await ledger.reach(attempt)
                    if dies_after_reach:
                        continue
                    found = run.world.named(next((n for n in run.world.container_names() if attempt.task_id in n), ""))
                    if found is not None:
                        run.world.destroy(found)
                    await ledger.settle(attempt, LogRecord(path=f"logs/{attempt.task_id}.1.log", size_bytes=7))
                    await ledger.clear(attempt, "")
                if not dies_after_reach:
                    await ledger.close()

    run_virtual(work, busy=lambda: journal.pending > 0)


async def opened(run: SimulatedRun, journal: SqliteJournal, driver: MemoryDriver) -> tuple[Ledger, list[Any]]:
    replayed = await take_up(journal)
    assert replayed is not None
    seen: list[Observation] = []
    async with driver.watch(Scope(owner=StateDir(run.directory).owner(), run_id=RUN_ID)) as states:
        async for told in states:
            if isinstance(told, Synced):
                break
            seen.append(told)
    ledger = Ledger(
        journal=journal,
        replayed=replayed,
        files=run.files,
        clock=VirtualClock(),
        seen=dict(attempts_of(seen)),
        because="nobody resumed it",
    )
    await ledger.begin()
    return ledger, list(replayed.state.live)


def resumed(run: SimulatedRun) -> dict[str, dict[str, Any]]:
    report = run.process()
    assert report is not None
    assert report.outcome is Outcome.FAILED
    assert all(times == 1 for times in run.world.executions.values()), "nothing ran twice"
    assert run.world.container_names() == []
    return {entry["batch_id"]: entry for wave in report.result()["waves"] for entry in wave["containers"]}


def test_what_still_ran_is_lost_and_what_had_ended_has_its_own_verdict(tmp_path: Path) -> None:
    run = killed_at(f"before logs {ENDS}#1", tmp_path)
    reap(run)
    look = look_at(StateDir(run.directory), RUN_ID)
    assert (look.state, look.outcome) == (RunState.OVER, Outcome.INTERRUPTED)

    entries = resumed(run)
    assert (entries[ENDS]["verdict"], entries[ENDS]["exit_code"]) == ("failed", 3)
    assert entries[RUNS]["verdict"] == "lost"
    assert "nobody resumed it: it still ran" in entries[RUNS]["evidence"]["reason"]
    assert entries[RUNS]["log"] == "logs/runs.1.log"
    assert entries[NEXT]["verdict"] == "success"


@pytest.mark.parametrize("point", [f"before logs {ENDS}#1", f"after start {RUNS}#1"])
def test_a_recovery_that_dies_in_the_middle_is_taken_up_by_a_resume(point: str, tmp_path: Path) -> None:
    run = killed_at(point, tmp_path)
    reap(run, dies_after_reach=True)
    assert look_at(StateDir(run.directory), RUN_ID).state is RunState.UNFINISHED
    assert resumed(run)[RUNS]["verdict"] == "lost", "the journal said so before anything was stopped"


def test_what_was_never_started_may_be_started_afterwards(tmp_path: Path) -> None:
    run = killed_at(f"before start {RUNS}#1", tmp_path)
    reap(run)
    entries = resumed(run)
    assert (entries[RUNS]["verdict"], entries[RUNS]["attempts"]) == ("success", 2)
    assert entries[RUNS]["retried_because"][0].startswith("start error"), "as it had not been started"
