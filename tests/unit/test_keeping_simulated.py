"""File systems of failed attempts are kept before these are removed: once each, through failures and kills."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wavepool.drivers.memory import Fault, MemoryWorld
from wavepool.engine.history.chronicle import Chronicle
from wavepool.engine.history.runs import RunHistory
from wavepool.model import Node, Resources, Rules
from wavepool.plan import TierMap, parse_plan
from wavepool.testing.faults import FaultPlan
from wavepool.testing.kill_points import KillSwitch
from wavepool.testing.whole_runs import SimulatedRun
from wavepool.units import GIB

NODES = (Node(name="local", capacity=Resources(GIB)),)
RULES = Rules(nodes=NODES, max_attempts=2, keep_failed=True, keep_going=True)


def run_in(directory: Path, *, rules: Rules = RULES, hazards: FaultPlan | None = None) -> SimulatedRun:
    tasks = {"good": "exit=0", "bad": "exit=3", "hungry": "oom"}
    batches = [
        {"batch_id": name, "memory": "64m", "files": [], "command": ["sim", word]} for name, word in tasks.items()
    ]
    plan = parse_plan(
        json.dumps({"waves": [{"wave_number": 1, "batches": batches}]}).encode(), source="plan", tiers=TierMap()
    )
    return SimulatedRun(plan=plan, rules=rules, world=MemoryWorld(hazards=hazards), directory=directory)


def told(run: SimulatedRun) -> dict[str, tuple[str | None, str | None]]:
    """attempt -> what it was kept as, and why not."""
    with_facts = Chronicle.of(RunHistory(run.files).facts())
    return {
        f"{task}#{attempt.id.number}": (attempt.kept, attempt.not_kept)
        for task, story in with_facts.tasks.items()
        for attempt in story.attempts
    }


def kept_attempts(run: SimulatedRun) -> set[str]:
    return {str(kept.attempt) for _, kept in run.world.kept.values()}


def test_each_attempt_that_did_not_succeed_is_kept_and_told(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    report = run.process()
    assert report is not None
    failed = {"bad#1", "bad#2", "hungry#1", "hungry#2"}
    assert kept_attempts(run) == failed
    found = told(run)
    assert set(found) == failed | {"good#1"}
    assert found["good#1"] == (None, None)
    assert {found[each][0] for each in failed} == set(run.world.kept)
    entries = {entry["batch_id"]: entry for entry in report.result()["waves"][0]["containers"]}
    assert entries["bad"]["kept"] == found["bad#2"][0]
    assert entries["good"]["kept"] is None


def test_nothing_is_kept_unless_it_was_asked_for(tmp_path: Path) -> None:
    run = run_in(tmp_path, rules=Rules(nodes=NODES))
    run.process()
    assert run.world.kept == {}


def test_what_cannot_be_kept_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    run = run_in(tmp_path, hazards=FaultPlan.always(Fault.KEEP_FAILS))
    report = run.process()
    assert report is not None
    assert report.exit_code == 1
    assert report.left_behind == []
    (kept, why) = told(run)["bad#1"]
    assert kept is None
    assert why is not None
    assert "injected" in why
    assert run.world.container_names() == []


def test_an_unknown_outcome_is_asked_about_again(tmp_path: Path) -> None:
    run = run_in(tmp_path, hazards=FaultPlan.always(Fault.KEEP_CUT_AFTER))
    run.process()
    assert len(run.world.kept) == 4
    assert all(why is None for _, why in told(run).values())


def test_a_kill_around_the_keeping_neither_loses_nor_doubles_it(tmp_path: Path) -> None:
    switch = KillSwitch()
    run_in(tmp_path / "undisturbed").process(switch)
    around = [number for number, name in enumerate(switch.points, 1) if " keep " in name or "AttemptRemoved" in name]
    assert len(around) >= 12
    for point in around:
        run = run_in(tmp_path / str(point))
        killed = KillSwitch(kill_at=point)
        run.process(killed)
        assert killed.dead
        run.process()
        assert len(run.world.kept) == 4, switch.points[point - 1]
        assert [kept is not None for kept, _ in told(run).values()].count(True) == 4
        assert run.world.container_names() == []


@pytest.mark.parametrize("reason", ["success", "not started"])
def test_what_has_nothing_to_look_into_is_not_kept(tmp_path: Path, reason: str) -> None:
    hazards = FaultPlan.always(Fault.START_IMPOSSIBLE, most=100) if reason == "not started" else None
    run = run_in(tmp_path, hazards=hazards)
    run.process()
    assert {kept for kept in kept_attempts(run) if kept.startswith("good" if reason == "success" else "")} == set()
