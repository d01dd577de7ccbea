"""`wavepool chaos`: a small dose of every scenario; what it finds is told, and what it makes is removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from wavepool_cli import TEST_IMAGE, World

from wavepool.testing.chaos.catalogue import catalogue
from wavepool.testing.chaos.scenario import FULL, QUICK, Scenario
from wavepool.testing.chaos.session import Place, Played, choose, play

RecordProperty = Callable[[str, object], None]
SMALL = ("kill", "claims", "fork-bomb", "lines", "two-orchestrators")
"""Of each family one or two; the slow test has them all."""

AT_ONCE = 4
"""Most of a scenario is waiting, so that several take hardly longer than one."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(directory=tmp_path, driver="docker", image=TEST_IMAGE, seed=1)


@pytest.mark.anyio
@pytest.mark.docker
async def test_a_small_dose_of_every_scenario(place: Place) -> None:
    done: list[Played] = []
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def one(scenario: Scenario) -> None:
        async with limiter:
            done.append(await play(scenario, 1, place, QUICK))

    async with anyio.create_task_group() as group:
        for scenario in choose(SMALL):
            group.start_soon(one, scenario)
    assert [(each.scenario, check) for each in done for check in each.checks if not check.ok] == []
    assert sum(each.figures["kills"] for each in done) > 0


@pytest.mark.anyio
@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("name", [scenario.name for scenario in catalogue() if scenario.name != "kill"])
async def test_a_full_dose_of_each_scenario(name: str, place: Place, record_property: RecordProperty) -> None:
    """`kill` has its own two hundred; `steps` takes every point that there is."""
    [scenario] = choose([name])
    done = await play(scenario, 1, place, replace(FULL, steps=None))
    held = sum(check.ok for check in done.checks)
    faults = f"{len(done.injected)} faults" if len(done.injected) > 3 else "; ".join(done.injected)
    said = done.skipped or f"{faults}: {held} of {len(done.checks)} checks hold"
    record_property("proof", f"chaos {name}, {done.took_s:.0f} s: {said}")
    if done.skipped:
        pytest.skip(done.skipped)
    assert done.ok, [check for check in done.checks if not check.ok]


def test_it_says_what_it_did_and_how_to_do_exactly_that_again(process_world: World) -> None:
    words = ("--quick", "--driver", "process", "--json", "--seed", "5", "--round", "2")
    done = process_world.command("chaos", "steps", *words).finish()
    assert done.exit_code == 0, done.stderr
    [one] = done.result["rounds"]
    assert one["result"] == "ok"
    assert one["again"] == "wavepool chaos steps --seed 5 --round 2"
    assert one["injected"] == ["SIGKILL at point 12", "SIGKILL at point 16"]  # of this seed and round, always
    assert one["figures"]["kills"] == 2
    assert "no attempt lost, none executed twice" in [check["name"] for check in one["checks"]]
    assert "steps, round 2: ok" in done.stderr


def test_an_unknown_scenario_is_refused_and_all_are_listed(process_world: World) -> None:
    refused = process_world.command("chaos", "earthquake").finish()
    assert refused.exit_code == 2
    assert "kill" in refused.stderr
    listed = process_world.command("chaos", "--list").finish()
    assert all(scenario.name in listed.stdout.decode() for scenario in catalogue())


def test_ctrl_c_removes_what_it_had_made(process_world: World) -> None:
    places = process_world.root / "places"
    run = process_world.command("chaos", "kill", "--driver", "process", "--state-dir", str(places))
    run.wait_for_line("kill, round 1")
    while not list(places.glob("*/state/runs/*/journal.db")):
        assert run.process.poll() is None
    run.interrupt()
    assert run.finish().exit_code == 130
    assert list(places.iterdir()) == []
