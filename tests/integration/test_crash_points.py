"""A run on the real SQLite journal, killed before and after every commit and every action, one at a time.

Each time another process recovers it; the verdicts must be those of an undisturbed run, no attempt may be executed
twice, the budget must hold, and nothing may be left.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wavepool.drivers.memory import MemoryWorld
from wavepool.model import Isolation, Node, Resources, Rules, Schedule
from wavepool.plan import TierMap, parse_plan
from wavepool.testing.kill_points import KillSwitch
from wavepool.testing.whole_runs import SimulatedRun, crash_everywhere
from wavepool.units import GIB


def batch(name: str, *words: str, **fields: Any) -> dict[str, Any]:
    return {"batch_id": name, "memory": "512m", "tier": 1, "files": ["a"], "command": ["sim", *words], **fields}


PLAN = {
    "waves": [
        {
            "wave_number": 1,
            "batches": [
                batch("succeeds", "duration=1"),
                batch("fails", "duration=2", "exit=3"),
                batch("out of memory", "duration=1", "oom"),
                batch("never ends", "duration=50", "ignore_term", timeout=3),
            ],
        },
        {
            "wave_number": 2,
            "batches": [
                batch("depends on success", "duration=1", depends_on=["succeeds"]),
                batch("depends on failure", depends_on=["fails"]),
                {**batch("missing program"), "command": ["no-such-program"]},
            ],
        },
    ]
}


def rules(schedule: Schedule, isolation: Isolation) -> Rules:
    return Rules(
        schedule=schedule,
        nodes=(Node(name="local", capacity=Resources(GIB)),),
        isolation=isolation,
        keep_going=True,
        max_attempts=2,
        wave_timeout_s=100,
        grace_s=2,
    )


@pytest.mark.parametrize("schedule", Schedule)
def test_a_run_killed_at_every_point_ends_as_if_nothing_had_happened(schedule: Schedule, tmp_path: Path) -> None:
    report = crash_everywhere(PLAN, rules(schedule, Isolation.WAVE), tmp_path)
    assert report.differences == []
    assert report.kills == len(report.points) > 100


def warm(how: Rules) -> Rules:
    """The same, with three containers parked ahead beside all that fitted before."""
    [node] = how.nodes
    room = node.capacity._replace(memory_bytes=node.capacity.memory_bytes + 3 * how.parked_bytes)
    return replace(how, nodes=(replace(node, capacity=room),), warm=3)


def test_the_same_with_parked_containers_killed_around_each_park_and_claim(tmp_path: Path) -> None:
    report = crash_everywhere(PLAN, warm(rules(Schedule.BARRIER, Isolation.WAVE)), tmp_path, only=" park | start ")
    assert report.differences == []
    assert report.kills > 20
    assert any(point.startswith("after park") for point in report.points)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", Schedule)
@pytest.mark.parametrize("isolation", Isolation)
def test_the_same_with_parked_containers_at_every_point(
    schedule: Schedule, isolation: Isolation, tmp_path: Path
) -> None:
    report = crash_everywhere(PLAN, warm(rules(schedule, isolation)), tmp_path)
    assert report.differences == []
    assert report.kills == len(report.points) > 100


@pytest.mark.slow
@pytest.mark.parametrize("schedule", Schedule)
@pytest.mark.parametrize("isolation", [Isolation.SHARED, Isolation.NONE])
def test_the_same_on_other_networks(schedule: Schedule, isolation: Isolation, tmp_path: Path) -> None:
    report = crash_everywhere(PLAN, rules(schedule, isolation), tmp_path)
    assert report.differences == []
    assert report.kills == len(report.points) > 100


@pytest.mark.parametrize(("retries", "expected"), [(1, ("lost", 1)), (2, ("success", 2))])
def test_one_that_ran_unseen_and_was_removed_by_a_stranger_is_lost_and_only_the_policy_repeats_it(
    retries: int, expected: tuple[str, int], tmp_path: Path
) -> None:
    """The process dies after the start and before the fact; somebody removes the container; a resume may not guess."""
    raw = {"waves": [{"wave_number": 1, "batches": [batch("unseen", "duration=5")]}]}
    plan = parse_plan(json.dumps(raw).encode(), source="one", tiers=TierMap())
    how = replace(rules(Schedule.BARRIER, Isolation.NONE), max_attempts=retries)
    world = MemoryWorld(nodes=how.nodes)
    run = SimulatedRun(plan=plan, rules=how, world=world, directory=tmp_path)
    points = KillSwitch()
    SimulatedRun(plan=plan, rules=how, world=MemoryWorld(nodes=how.nodes), directory=tmp_path / "counted").process(
        points
    )
    assert run.process(KillSwitch(kill_at=points.points.index("after start unseen#1") + 1)) is None

    (name,) = world.container_names()
    container = world.named(name)
    assert container is not None
    world.destroy(container)
    report = run.process()
    assert report is not None
    (entry,) = report.result()["waves"][0]["containers"]
    assert (entry["verdict"], entry["attempts"]) == expected
    assert all(times == 1 for times in world.executions.values())
    if retries > 1:
        assert entry["evidence"]["repeats_work"] is True
    else:
        assert "it may have run" in entry["evidence"]["reason"]
