"""What a watch tells, also of what another process began."""

from __future__ import annotations

from wavepool import labels
from wavepool.drivers.base import Observation, Phase, Scope, Synced
from wavepool.model import AttemptId, VerdictKind
from wavepool.testing.driver_contract.bounds import SLEEP_S, bounded
from wavepool.testing.driver_harness import DriverHarness
from wavepool.testing.observing import (
    ending_from,
    phase_of,
    run_to_end,
    scope_of,
    thawed,
    wait_ended,
)


class WatchContract:
    """What a watch tells, also of what another process began."""

    # ---- watch ----

    @bounded
    async def test_watch_tells_what_exists_then_synced_then_changes(self, harness: DriverHarness) -> None:
        running = harness.spec(harness.commands.sleeps(SLEEP_S))
        ended = harness.spec(harness.commands.exits(3))
        later = harness.spec(harness.commands.exits(4))
        async with harness.driver() as driver:
            handle = await driver.start(running)
            await run_to_end(driver, ended)
            async with driver.watch(scope_of(running)) as states:
                before: dict[AttemptId, Phase] = {}
                async for told in states:
                    if isinstance(told, Synced):
                        assert told.present == {(running.run_id, s.attempt) for s in (running, ended)}
                        break
                    before[told.handle.attempt] = told.phase
                    assert (told.run_id, told.wave) == (running.run_id, running.wave)
                    assert labels.is_ours(told.labels, harness.owner)
                assert before == {running.attempt: Phase.RUNNING, ended.attempt: Phase.EXITED}
                await driver.start(later)
                await driver.stop(handle, 5)
                awaited = {running.attempt, later.attempt}
                while awaited:
                    told = await anext(states)
                    if isinstance(told, Observation) and told.phase is Phase.EXITED:
                        awaited.discard(told.handle.attempt)

    @bounded
    async def test_watch_of_an_empty_scope_syncs_at_once(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver, driver.watch(Scope(owner=harness.owner)) as states:
            assert await anext(states) == Synced(present=frozenset())

    @bounded
    async def test_two_watches_tell_the_same_end(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.sleeps(0.1, 5))
        async with harness.driver() as driver, driver.watch(scope_of(spec)) as states:
            await driver.start(spec)
            first = await ending_from(states, spec)
            second = await wait_ended(driver, spec)
        assert first.ending is not None
        assert second.ending is not None
        assert first.ending.evidence.exit_code == second.ending.evidence.exit_code == 5

    # ---- restart ----

    @bounded
    async def test_a_new_driver_finds_a_running_attempt(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.counts("adopted", SLEEP_S))
        async with harness.driver() as driver:
            handle = await driver.start(spec)
        async with harness.driver() as driver:
            assert await phase_of(driver, spec) is Phase.RUNNING
            assert await driver.start(spec) == handle
            await driver.stop(thawed(handle), 5)
            assert await phase_of(driver, spec) is Phase.EXITED
        assert harness.executions(spec, "adopted") == 1

    @bounded
    async def test_an_exit_without_a_driver_is_not_lost(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.sleeps(0.2, 7))
        async with harness.driver() as driver:
            await driver.start(spec)
        async with harness.driver() as driver:
            told = await wait_ended(driver, spec)
        assert told.ending is not None
        assert told.ending.kind is VerdictKind.FAILED
        assert told.ending.evidence.exit_code == 7
