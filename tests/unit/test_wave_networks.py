"""The network of a wave that is removed with the wave, and made again where a task of it is tried again meanwhile."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.engine.attempts.waves import WaveNetworks
from wavepool.model import Isolation, Surroundings

pytestmark = pytest.mark.anyio


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


def networks_in(world: MemoryWorld) -> WaveNetworks:
    specs = SpecBuilder(
        owner="0" * 16,
        run_id="r",
        surroundings=Surroundings(image="i", workspace="/w", network="net"),
        isolation=Isolation.WAVE,
        secrets={},
    )
    return WaveNetworks(MemoryDriver(world), specs)


async def test_it_goes_with_its_wave(world: MemoryWorld) -> None:
    networks = networks_in(world)
    await networks.ensure(1)
    await networks.ensure(2)
    assert len(world.networks) == 2
    await networks.release(1, still=lambda: True)
    assert len(world.networks) == 1


@pytest.mark.parametrize("first", ["release", "ensure"])
async def test_a_wave_that_was_opened_again_has_its_network_whichever_comes_first(
    world: MemoryWorld, first: str
) -> None:
    """Both are under way at once: the removal of the wave that had settled, and the making for the one that is open."""
    networks = networks_in(world)
    await networks.ensure(1)
    settled = True
    async with anyio.create_task_group() as group:
        if first == "release":
            group.start_soon(lambda: networks.release(1, still=lambda: settled))
            await anyio.lowlevel.checkpoint()
        settled = False
        group.start_soon(networks.ensure, 1)
        if first == "ensure":
            group.start_soon(lambda: networks.release(1, still=lambda: settled))
    assert len(world.networks) == 1
