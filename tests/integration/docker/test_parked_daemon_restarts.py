"""A daemon of our own is restarted under parked containers: none is claimed after that, and nothing runs twice."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from wavepool.drivers.base import AttemptSpec, Observation, Phase
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.parking import Claim
from wavepool.errors import NotClaimed
from wavepool.model import VerdictKind
from wavepool.testing.observing import ending_from, present, raised, scope_of, wait_ended
from wavepool.testing.own_daemon import OwnDaemon

if TYPE_CHECKING:
    from conftest import DockerWorld

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a Docker daemon"),
]


@pytest.mark.parametrize("live_restore", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kill", [True, pytest.param(False, marks=pytest.mark.slow)])
async def test_a_restart_ends_the_parking_and_nothing_runs_twice(
    world: DockerWorld, tmp_path: Path, live_restore: bool, kill: bool
) -> None:
    world.allow(400)
    directory = tmp_path / "daemon"
    directory.mkdir()
    async with OwnDaemon(directory, live_restore=live_restore) as daemon:
        await daemon.load_image(world.image)
        claimed, unclaimed = _late(world), _late(world)
        bound = world.spec(world.commands.counts("bound", 0))
        async with world.driver(host=daemon.host) as driver, driver.watch(scope_of(bound)) as states:
            handles = [await driver.park(spec) for spec in (claimed, unclaimed, bound)]
            script = 'while [ ! -e "$WAVEPOOL_WORKSPACE/go" ]; do sleep 0.1; done; exit 7'
            await driver.claim(handles[0], Claim(command=("/bin/sh", "-c", script)))
            await daemon.restart(kill=kill)
            assert [driver.is_parked(handle) for handle in handles] == [False, False, False]
            await raised(NotClaimed, driver.claim(handles[1], Claim(command=("/bin/true",))))
            (claimed.workspace / "go").touch()
            told = await ending_from(states, claimed)
            assert told.ending is not None
            if live_restore:
                assert told.ending.evidence.exit_code == 7, "what was claimed goes on"
            else:
                assert told.ending.kind is VerdictKind.LOST
            await _runs_cold_and_once(world, driver, bound)
            assert driver.claimed_at(unclaimed.slot) is None
            assert (await driver.remove(handles[1])).errors == ()
            assert (await driver.remove(scope_of(bound))).errors == ()
            assert await present(driver, scope_of(bound)) == frozenset()
            with anyio.move_on_after(1.0):
                async for state in states:
                    if isinstance(state, Observation) and state.handle == handles[1]:
                        assert state.phase is Phase.CREATED, "nobody loses what never ran"


async def _runs_cold_and_once(world: DockerWorld, driver: DockerDriver, spec: AttemptSpec) -> None:
    await driver.start(spec)
    told = await wait_ended(driver, spec)
    assert told.ending is not None
    assert told.ending.kind is VerdictKind.SUCCESS
    assert world.executions(spec, "bound") == 1


def _late(world: DockerWorld) -> AttemptSpec:
    spec = world.spec(None)
    return replace(spec, late=True, workspace=spec.slot / "work")
