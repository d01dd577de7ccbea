"""What the driver says of itself, and makes ready: images and networks."""

from __future__ import annotations

from dataclasses import replace
from unittest import SkipTest

from wavepool import labels
from wavepool.drivers.base import Needs, NetworkNeed, Scope
from wavepool.errors import NotStarted, PrepareError
from wavepool.testing.driver_contract.bounds import bounded
from wavepool.testing.driver_harness import DriverHarness
from wavepool.testing.observing import (
    raised,
    run_to_end,
)


class PrepareContract:
    """What the driver says of itself, and makes ready: images and networks."""

    @bounded
    async def test_probe_tells_who_it_is_and_what_it_has(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            facts = await driver.probe()
            assert facts.driver == driver.name
        assert facts.version
        assert facts.execution_mode in ("docker", "subprocess")
        assert len({node.name for node in facts.nodes}) == len(facts.nodes) >= 1
        assert all(node.capacity.memory_bytes > 0 for node in facts.nodes)

    @bounded
    async def test_prepare_may_be_repeated(self, harness: DriverHarness) -> None:
        needs = Needs(images=(harness.image,) if harness.missing_image else ())
        async with harness.driver() as driver:
            assert await driver.prepare(needs) == await driver.prepare(needs)

    @bounded
    async def test_a_missing_image_is_named(self, harness: DriverHarness) -> None:
        if harness.missing_image is None:
            raise SkipTest("this driver has no images")
        async with harness.driver() as driver:
            needs = Needs(images=(harness.missing_image,), pull="never")
            assert (await raised(PrepareError, driver.prepare(needs))).what == harness.missing_image
            spec = harness.spec(harness.commands.exits(0), image=harness.missing_image)
            await raised(NotStarted, driver.start(spec))

    @bounded
    async def test_a_network_is_made_once_and_removed_with_its_scope(self, harness: DriverHarness) -> None:
        if not harness.has_networks:
            raise SkipTest("this driver has no networks")
        name = labels.wave_network_name(owner=harness.owner, run_id="run-a", wave=1)
        marks = {labels.OWNER: harness.owner, labels.RUN: "run-a", labels.WAVE: "1", labels.SCOPE: "wave"}
        needs = Needs(networks=(NetworkNeed(name=name, labels=marks),))
        spec = replace(harness.spec(harness.commands.exits(0)), network=name)
        async with harness.driver() as driver:
            assert (await driver.prepare(needs)).networks_created == (name,)
            assert (await driver.prepare(needs)).networks_created == ()
            await run_to_end(driver, spec)
            assert name not in (await driver.remove(Scope(owner=harness.owner, run_id="run-a", wave=10))).networks
            assert name in (await driver.remove(Scope(owner=harness.owner, run_id="run-a", wave=1))).networks
