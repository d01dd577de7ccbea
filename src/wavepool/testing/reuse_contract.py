"""The contract of reused containers (`wavepool.drivers.parking.SupportsReuse`), for every driver that has them.

Used as `driver_contract`: a fixture ``harness``, and a class of your own that inherits.
"""

from __future__ import annotations

from dataclasses import replace
from unittest import SkipTest

import anyio

from wavepool.drivers.base import AttemptSpec, Driver, Observation, Phase
from wavepool.drivers.parking import Claim, ReusableContainer, SupportsReuse
from wavepool.errors import InputError, NotClaimed, Unknown
from wavepool.testing.driver_contract import SLEEP_S, bounded
from wavepool.testing.driver_harness import DriverHarness
from wavepool.testing.observing import phase_of, raised, scope_of
from wavepool.units import MIB


class ReuseContract:
    """Tests of what `SupportsReuse` promises."""

    @bounded
    async def test_tasks_run_one_after_the_other_in_one_container(self, harness: DriverHarness) -> None:
        commands = harness.commands
        async with harness.driver() as driver:
            spec = reusable(harness)
            container = await supporting(driver).open_reusable(spec)
            for code in (0, 3, 137, 0):
                done = await container.execute(Claim(command=commands.exits(code)), Heard())
                assert (done.exit_code, done.clean, done.problem) == (code, True, "")
            heard = Heard()
            await container.execute(Claim(command=commands.prints(b"out\x00\xff", b"err")), heard)
            assert (heard.stdout, heard.stderr) == (b"out\x00\xff", b"err"), "all of it is told before it returns"
            missing = await container.execute(Claim(command=commands.missing_program()), Heard())
            assert (missing.exit_code, missing.clean) == (127, True)
            assert container.uses == 6
            assert await phase_of(driver, spec) is Phase.RUNNING
            await container.close()

    @bounded
    async def test_each_task_has_its_own_prompt_and_variables(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            container = await opened(driver, harness)
            for prompt, value in (("first 'prompt'\n", 'a $HOME "b"'), ("", "")):
                heard = Heard()
                await container.execute(Claim(command=harness.commands.shows_prompt(), prompt=prompt), heard)
                assert heard.stdout == prompt.encode()
                heard = Heard()
                given = {"VALUE": value} if value else {}
                await container.execute(Claim(command=harness.commands.shows_env("VALUE"), env=given), heard)
                assert heard.stdout == value.encode(), "nothing of the task before"
            await container.close()

    @bounded
    async def test_secrets_are_refused_and_nothing_runs(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            container = await opened(driver, harness)
            claim = Claim(command=harness.commands.exits(0), secrets={"token": b"x"})
            await raised(InputError, container.execute(claim, Heard()))
            assert container.uses == 0
            assert (await container.execute(Claim(command=harness.commands.exits(0)), Heard())).clean
            await container.close()

    @bounded
    async def test_a_root_that_can_be_written_to_is_refused(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            reuse = supporting(driver)
            error = await raised(InputError, reuse.open_reusable(replace(reusable(harness), read_only=False)))
        assert "read-only" in error.message

    @bounded
    async def test_a_task_whose_container_is_stopped_is_unknown_and_none_comes_after(
        self, harness: DriverHarness
    ) -> None:
        async with harness.driver() as driver:
            container = await opened(driver, harness)
            begun = anyio.Event()

            async def run() -> None:
                claim = Claim(command=harness.commands.ignores_term())
                await raised(Unknown, container.execute(claim, lambda stream, data: begun.set()))

            async with anyio.create_task_group() as group:
                group.start_soon(run)
                await begun.wait()
                await driver.stop(container.handle, 0)
            await raised(NotClaimed, container.execute(Claim(command=harness.commands.exits(0)), Heard()))
            await container.close()
            await container.close()

    @bounded
    async def test_it_ends_by_itself_when_its_connection_is_closed(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            spec = reusable(harness)
            container = await supporting(driver).open_reusable(spec)
            assert (await container.execute(Claim(command=harness.commands.exits(0)), Heard())).clean
            async with driver.watch(scope_of(spec)) as states:
                await container.close()
                async for told in states:
                    if isinstance(told, Observation) and told.phase is Phase.EXITED:
                        break
            async with driver.logs(container.handle) as log:
                assert [chunk async for chunk in log] == [], "what its tasks wrote was told, and is kept nowhere"

    @bounded
    async def test_a_task_whose_connection_is_closed_is_unknown_and_goes_with_its_container(
        self, harness: DriverHarness
    ) -> None:
        async with harness.driver() as driver:
            spec = reusable(harness)
            container = await supporting(driver).open_reusable(spec)
            begun = anyio.Event()

            async def run() -> None:
                claim = Claim(command=harness.commands.ignores_term())
                await raised(Unknown, container.execute(claim, lambda stream, data: begun.set()))

            async with anyio.create_task_group() as group:
                group.start_soon(run)
                await begun.wait()
                await container.close()
            assert (await driver.remove(container.handle)).errors == ()
            assert await phase_of(driver, spec) is None

    @bounded
    async def test_a_cancelled_task_spoils_its_container(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            container = await opened(driver, harness)
            with anyio.move_on_after(0.2) as bound:
                await container.execute(Claim(command=harness.commands.sleeps(SLEEP_S)), Heard())
            assert bound.cancelled_caught
            await raised(NotClaimed, container.execute(Claim(command=harness.commands.exits(0)), Heard()))
            await container.close()
            removed = await driver.remove(container.handle)
        assert removed.errors == ()


class Heard:
    """An output sink that keeps everything."""

    def __init__(self) -> None:
        self.stdout = b""
        self.stderr = b""

    def __call__(self, stream: str, data: bytes) -> None:
        assert data
        if stream == "stdout":
            self.stdout += data
        else:
            self.stderr += data


def reusable(harness: DriverHarness) -> AttemptSpec:
    """A spec as a pool makes it."""
    spec = harness.spec(None, memory_bytes=64 * MIB)
    return replace(
        spec, workspace=spec.slot / "work", late=True, read_only=True, user="1000:1000", tmpfs={"/tmp": 8 * MIB}
    )


def supporting(driver: Driver) -> SupportsReuse:
    """The driver as one that reuses. Raises SkipTest where it does not."""
    if not isinstance(driver, SupportsReuse):
        raise SkipTest(f"the {driver.name} driver does not reuse containers")
    return driver


async def opened(driver: Driver, harness: DriverHarness) -> ReusableContainer:
    """A container for many tasks; its harness removes it."""
    return await supporting(driver).open_reusable(reusable(harness))
