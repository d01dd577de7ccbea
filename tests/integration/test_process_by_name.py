"""What is known of an attempt may be its name alone: one that did not start, or whose start was cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from wavepool.drivers.base import Handle
from wavepool.drivers.process import ProcessDriver
from wavepool.errors import NotStarted
from wavepool.testing.driver_harness import DriverHarness
from wavepool.testing.observing import raised, run_to_end

pytestmark = pytest.mark.anyio

PATIENCE_S = 120.0


class World(DriverHarness):
    """A base directory of its own."""

    def driver(self) -> ProcessDriver:
        return ProcessDriver(base_dir=self.root / "base")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_one_that_did_not_start_is_removed_by_its_name(world: World) -> None:
    never = replace(world.spec(("/bin/true",)), command=None)
    nowhere = replace(world.spec(("/bin/true",)), workspace=world.root / "nowhere")
    with anyio.fail_after(PATIENCE_S):
        async with world.driver() as driver:
            for spec in (never, nowhere):
                await raised(NotStarted, driver.start(spec))
                by_name = Handle(driver=driver.name, id="", name=spec.name, attempt=spec.attempt)
                assert (await driver.remove(by_name)).errors == ()
            assert list((world.root / "base" / "attempts").iterdir()) == []


async def test_one_that_ran_is_removed_by_its_name(world: World) -> None:
    spec = world.spec(("/bin/true",))
    with anyio.fail_after(PATIENCE_S):
        async with world.driver() as driver:
            await run_to_end(driver, spec)
            by_name = Handle(driver=driver.name, id="", name=spec.name, attempt=spec.attempt)
            assert (await driver.remove(by_name)).containers == (spec.name,)
