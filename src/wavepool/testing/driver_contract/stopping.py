"""Stopping and removing: what was meant, all of it, and nothing else."""

from __future__ import annotations

from wavepool.drivers.base import Phase, Scope
from wavepool.model import VerdictKind
from wavepool.testing.driver_contract.bounds import SLEEP_S, bounded
from wavepool.testing.driver_harness import DriverHarness
from wavepool.testing.observing import (
    keys,
    phase_of,
    present,
    scope_of,
    start_all,
    wait_ended,
    wait_for_output,
)


class StopContract:
    """Stopping and removing: what was meant, all of it, and nothing else."""

    # ---- stop ----

    @bounded
    async def test_stop_ends_one_that_heeds_sigterm(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.sleeps(SLEEP_S))
        async with harness.driver() as driver:
            handle = await driver.start(spec)
            await driver.stop(handle, SLEEP_S)
            told = await wait_ended(driver, spec)
        assert told.ending is not None
        assert told.ending.kind is VerdictKind.FAILED
        assert told.ending.evidence.exit_code == 143

    @bounded
    async def test_stop_kills_one_that_ignores_sigterm(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.ignores_term())
        async with harness.driver() as driver:
            handle = await driver.start(spec)
            await wait_for_output(driver, handle, b"ready\n")
            await driver.stop(handle, 0.2)
            assert await phase_of(driver, spec) is Phase.EXITED, "stop returns when it is known to have ended"
            told = await wait_ended(driver, spec)
        assert told.ending is not None
        assert told.ending.kind is VerdictKind.FAILED, "a kill of ours is not OOM"
        assert told.ending.evidence.exit_code == 137

    @bounded
    async def test_stopping_what_has_ended_or_is_gone_is_fine(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.exits(6))
        async with harness.driver() as driver:
            handle = await driver.start(spec)
            await wait_ended(driver, spec)
            await driver.stop(handle, 1)
            told = await wait_ended(driver, spec)
            assert told.ending is not None
            assert told.ending.evidence.exit_code == 6, "a late stop does not change the result"
            await driver.remove(handle)
            await driver.stop(handle, 1)

    # ---- remove ----

    @bounded
    async def test_removing_twice_is_fine(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.exits(0))
        async with harness.driver() as driver:
            handle = await driver.start(spec)
            await wait_ended(driver, spec)
            assert (await driver.remove(handle)).errors == ()
            assert (await driver.remove(handle)).errors == ()
            assert await present(driver, scope_of(spec)) == frozenset()

    @bounded
    async def test_removing_a_scope_spares_everything_else(self, harness: DriverHarness) -> None:
        command = harness.commands.sleeps(SLEEP_S)
        target = harness.spec(command, wave=1)
        ended = harness.spec(harness.commands.exits(1), wave=1)
        wave_10 = harness.spec(command, wave=10)
        run_b = harness.spec(command, run_id="run-b", wave=1)
        detached = harness.spec(command, wave=1, detached=True)
        foreign = harness.spec(command, owner=harness.other_owner, wave=1)
        async with harness.driver() as driver:
            await start_all(driver, (target, ended, wave_10, run_b, detached, foreign))
            await wait_ended(driver, ended)
            removed = await driver.remove(Scope(owner=harness.owner, run_id="run-a", wave=1, detached=False))
            assert removed.errors == ()
            assert len(removed.containers) == 2
            assert await present(driver, Scope(owner=harness.owner)) == keys(wave_10, run_b, detached)
            assert await present(driver, Scope(owner=harness.other_owner)) == keys(foreign)
            await driver.remove(Scope(owner=harness.owner, run_id="run-a"))
            assert await present(driver, Scope(owner=harness.owner)) == keys(run_b)
            await driver.remove(Scope(owner=harness.owner))
            assert await present(driver, Scope(owner=harness.owner)) == frozenset()
            assert await phase_of(driver, foreign) is Phase.RUNNING
