"""Spawning a wave on the simulated engine: all, some, none; busy engines, lost engines, Ctrl-C."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from simulated_wave import NETWORK, Steps, WorldSurvey, task

from wavepool import labels
from wavepool.drivers.base import Needs, Phase
from wavepool.drivers.memory import Fault, MemoryWorld
from wavepool.engine.steps.spawn import check_independent, needs_of, rehearse_spawn, spawn_json
from wavepool.errors import InputError
from wavepool.model import Limits, Sidecar, Surroundings
from wavepool.testing.faults import FaultPlan
from wavepool.testing.virtual_time import run_virtual

NAMES = ("a", "b", "c", "d", "e", "f", "g")


def test_every_task_is_started_once_in_the_plans_order(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        spawned = await steps.spawn(*(task(name, "duration=60") for name in NAMES))
        assert [each.task.id for each in spawned.started] == list(NAMES)
        assert not spawned.failed
        result = spawn_json(
            spawned, wave=1, run_id="r", network=NETWORK, spawned_at=steps.clock.now().utc, interrupted=False
        )
        assert (result["total_spawned"], result["total_memory"]) == (7, "448MB")
        assert steps.world.peak_running == 7
        first = steps.world.named(spawned.started[0].handle.name)
        assert first is not None
        assert first.spec.labels[labels.DETACHED] == "true"
        assert int(first.spec.labels[labels.LIFETIME_END]) > 0

    run_virtual(main)


def test_a_busy_engine_is_asked_again_and_a_cut_start_runs_once(tmp_path: Path) -> None:
    async def main() -> None:
        rates = {Fault.START_REFUSED: 0.3, Fault.START_CUT_AFTER: 1.0, Fault.CREATE_LATE: 0.5}
        world = MemoryWorld(hazards=FaultPlan(7, rates, most=1))
        steps = Steps(tmp_path, world)
        spawned = await steps.spawn(*(task(name, "duration=600") for name in NAMES))
        assert len(spawned.started) == 7
        assert set(world.executions.values()) == {1}
        assert world.hazards.struck[Fault.START_REFUSED]
        assert len(world.container_names()) == 7

    run_virtual(main)


def test_what_can_not_start_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        world = MemoryWorld(hazards=FaultPlan.always(Fault.START_IMPOSSIBLE, most=99))
        steps = Steps(tmp_path, world)
        spawned = await steps.spawn(task("a"), task("b"))
        assert [(each.task.id, each.exists) for each in spawned.failed] == [("a", False), ("b", False)]
        assert world.container_names() == []
        assert any("batch 'a' was not spawned" in line for line in steps.told)

    run_virtual(main)


def test_an_engine_that_goes_away_ends_the_spawning_with_every_task_accounted_for(tmp_path: Path) -> None:
    async def main() -> None:
        world = MemoryWorld()
        steps = Steps(tmp_path, world)
        await steps.driver.prepare(_needs(steps))
        world.hazards = FaultPlan.always(Fault.UNAVAILABLE, most=999)
        spawned = await steps.spawner("spawn-1", parallel=2).spawn([task(name) for name in NAMES])
        assert not spawned.started
        assert [each.task.id for each in spawned.failed] == list(NAMES)
        assert "cannot be reached" in spawned.failed[0].reason
        assert "the engine went away" in spawned.failed[-1].reason

    run_virtual(main)


@pytest.mark.parametrize("force", [False, True])
def test_ctrl_c_stops_the_spawning_and_says_what_there_is(tmp_path: Path, force: bool) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        await steps.driver.prepare(_needs(steps))
        spawner = steps.spawner("spawn-1", parallel=2)

        async def press() -> None:
            while steps.world.running < 2:
                await steps.world.wait()
            spawner.interrupt(force)

        async with anyio.create_task_group() as group:
            group.start_soon(press)
            spawned = await spawner.spawn([task(name, "duration=600") for name in NAMES])
        assert spawner.interrupted
        there = {each.handle.name for each in spawned.started} | {each.name for each in spawned.failed if each.exists}
        assert set(steps.world.container_names()) <= there
        assert len(spawned.started) + len(spawned.failed) == 7
        assert 2 <= len(steps.world.container_names()) < 7
        if not force:
            assert not any(each.exists for each in spawned.failed)

    run_virtual(main)


def test_a_rehearsal_names_causes_and_makes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        world = MemoryWorld(absent_images=["image"])
        steps = Steps(tmp_path, world)
        survey = WorldSurvey(world)
        actions = await rehearse_spawn([task("a"), task("b")], steps.specs("r"), survey)
        assert [action["action"] for action in actions] == [
            "pull_image",
            "create_network",
            "start_container",
            "start_container",
        ]
        assert actions[2]["cause"] == "batch a of wave 1, tier 1"
        assert (world.container_names(), world.networks) == ([], {})

    run_virtual(main)


def test_a_rehearsal_refuses_what_the_spawn_would(tmp_path: Path) -> None:
    async def main() -> None:
        world = MemoryWorld(absent_images=["image"])
        steps = Steps(tmp_path, world)
        around = Surroundings(image="image", workspace=str(tmp_path), network=NETWORK, pull="never")
        specs = steps.specs("r")
        object.__setattr__(specs, "surroundings", around)
        with pytest.raises(InputError, match="--pull is never"):
            await rehearse_spawn([task("a")], specs, WorldSurvey(world))

    run_virtual(main)


def test_a_dependency_inside_the_wave_is_refused() -> None:
    dependent = task("b")
    object.__setattr__(dependent, "depends_on", ("a",))
    with pytest.raises(InputError, match="wavepool run"):
        check_independent([task("a"), dependent])


def test_a_task_with_sidecars_is_refused() -> None:
    beside = Sidecar(name="db", image="i", limits=Limits(memory_bytes=8 << 20))
    with pytest.raises(InputError, match="wavepool run"):
        check_independent([replace(task("a"), sidecars=(beside,))])


def test_a_container_that_ended_at_once_was_spawned_all_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        spawned = await steps.spawn(task("a", "exit=3"))
        found = steps.world.named(spawned.started[0].handle.name)
        assert found is not None
        assert found.phase is Phase.EXITED

    run_virtual(main)


def _needs(steps: Steps) -> Needs:
    return needs_of([task("a")], steps.specs("spawn-1"))
