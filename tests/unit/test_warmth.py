"""How many containers a run may keep parked, and what of it is refused or has no effect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wavepool.cli.warmth import spelled_out
from wavepool.drivers.base import DriverFacts
from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.drivers.process import ProcessDriver
from wavepool.errors import PlanError, SettingError
from wavepool.model import Node, Resources, Rules, Schedule, Surroundings
from wavepool.plan import Plan, TierMap, check_budget, parse_plan, warm_places
from wavepool.units import GIB, MIB
from wavepool.wiring import RunRequest, with_warmth

PARKED = 32 * MIB
FOUND = DriverFacts(driver="memory", version="1", execution_mode="docker", nodes=())


def plan_of(*waves: Sequence[int], parallelism: int | None = None) -> Plan:
    """Waves of batches of so many MiB each."""
    document = {
        "waves": [
            {
                "wave_number": number,
                **({} if parallelism is None else {"parallelism": parallelism}),
                "batches": [
                    {"batch_id": f"{number}-{n}", "memory": f"{size}m", "files": []} for n, size in enumerate(sizes)
                ],
            }
            for number, sizes in enumerate(waves, start=1)
        ]
    }
    return parse_plan(json.dumps(document).encode(), source="plan", tiers=TierMap())


def node(size_bytes: int, cores: int = 0) -> Node:
    return Node(name="local", capacity=Resources(size_bytes, cores * 1000))


@pytest.mark.parametrize(
    ("plan", "budget_bytes", "expected"),
    [
        (plan_of([100] * 4, [100] * 7), 100 * GIB, 7),  # the largest wave
        (plan_of([100] * 7, parallelism=3), 100 * GIB, 3),
        (plan_of([1024] * 50), 20 * GIB, 20),  # as many as run at once
        (plan_of([64] * 50), 3200 * MIB, 10),  # a tenth of the budget
        (plan_of([64] * 50), 200 * MIB, 1),  # at least one
        (plan_of([64, 180]), 200 * MIB, 0),  # where there is room for it beside the largest
        (plan_of([64, 1024]), 1024 * MIB + 2 * PARKED, 2),
        (plan_of([]), GIB, 1),
    ],
)
def test_as_many_as_a_wave_runs_at_once_within_a_tenth_of_the_budget(
    plan: Plan, budget_bytes: int, expected: int
) -> None:
    assert warm_places(plan, node(budget_bytes), Schedule.BARRIER, PARKED) == expected


def test_rolling_waves_run_together() -> None:
    assert warm_places(plan_of([100] * 4, [100] * 7), node(100 * GIB), Schedule.ROLLING, PARKED) == 11


def request(plan: Plan, warm: Any, directory: Path) -> RunRequest:
    around = Surroundings(image="i", workspace="/w", network="n")
    return RunRequest(plan=plan, rules=Rules(nodes=()), surroundings=around, warm=warm, state_dir=directory)


def warmed(plan: Plan, warm: Any, directory: Path, **more: Any) -> tuple[Rules, list[str]]:
    told: list[str] = []
    driver = more.pop("driver", None) or MemoryDriver(MemoryWorld())
    rules = Rules(nodes=more.pop("nodes", (node(GIB),)))
    found = replace(FOUND, **more)
    return with_warmth(request(plan, warm, directory), rules, driver, found, told.append), told


def test_a_number_is_taken_as_it_is(tmp_path: Path) -> None:
    rules, told = warmed(plan_of([64] * 9), 9, tmp_path)
    assert (rules.warm, told) == (9, [])
    assert rules.for_attempts() == (node(GIB - 9 * PARKED),)
    assert rules.nodes == (node(GIB),)


def test_more_than_the_budget_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"--warm: got 32, expected at most 31.*32MB of the budget of 1.0GB"):
        warmed(plan_of([64] * 40), 32, tmp_path)


def test_a_batch_that_does_not_fit_beside_it_is_refused_and_the_reason_named(tmp_path: Path) -> None:
    plan = plan_of([*[64] * 10, 800])
    with pytest.raises(PlanError, match=r"memory.*budget of local but for 320MB of --warm 10") as caught:
        warmed(plan, 10, tmp_path)
    assert "batches[10]" in str(caught.value)
    rules, _ = warmed(plan, 7, tmp_path)
    check_budget(plan, rules)


def test_no_more_is_kept_than_there_are_tasks(tmp_path: Path) -> None:
    assert warmed(plan_of([64] * 3), 1000, tmp_path)[0].warm == 3


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"remote": True}, "the Docker daemon is not on this host"),
        ({"nodes": (node(GIB), node(GIB))}, "on several nodes everything starts cold"),
    ],
)
def test_where_nothing_can_be_parked_nothing_is_kept_and_that_is_said(
    more: dict[str, Any], why: str, tmp_path: Path
) -> None:
    rules, told = warmed(plan_of([64]), 4, tmp_path, **more)
    assert (rules.warm, told) == (0, [f"--warm has no effect: {why}"])


def test_plain_processes_are_never_parked(tmp_path: Path) -> None:
    rules, told = warmed(plan_of([64]), "auto", tmp_path, driver=ProcessDriver(base_dir=tmp_path))
    assert (rules.warm, told) == (0, ["--warm has no effect: the process driver starts everything cold"])


def test_a_batch_that_needs_the_whole_budget_leaves_no_room_for_auto(tmp_path: Path) -> None:
    rules, told = warmed(plan_of([1024]), "auto", tmp_path)
    assert rules.warm == 0
    assert told == ["--warm has no effect: the largest batch needs the whole budget, and nothing can be kept beside it"]


def test_what_is_not_asked_for_is_not_looked_at(tmp_path: Path) -> None:
    rules, told = warmed(plan_of([64]), 0, tmp_path, nodes=())
    assert (rules.warm, rules.for_attempts(), told) == (0, (), [])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["--warm", "plan.json"], ["--warm=auto", "plan.json"]),
        (["plan.json", "--warm"], ["plan.json", "--warm=auto"]),
        (["--warm", "--json", "plan.json"], ["--warm=auto", "--json", "plan.json"]),
        (["--warm", "8", "plan.json"], ["--warm", "8", "plan.json"]),
        (["--warm", "-1", "plan.json"], ["--warm", "-1", "plan.json"]),  # to be refused
        (["--warm=8", "plan.json"], ["--warm=8", "plan.json"]),
        (["--warm", "auto", "plan.json"], ["--warm", "auto", "plan.json"]),
        (["--warm", "--", "8"], ["--warm=auto", "--", "8"]),
        (["--", "--warm"], ["--", "--warm"]),
        (["plan.json"], ["plan.json"]),
    ],
)
def test_the_number_may_be_left_out(typed: list[str], meant: list[str]) -> None:
    assert spelled_out(typed) == meant
