"""However often it is asked for, an attempt runs once at most."""

from __future__ import annotations

from dataclasses import replace
from unittest import SkipTest

import anyio

from wavepool import labels
from wavepool.drivers.base import Driver, Handle, Phase
from wavepool.drivers.start_mark import make_mark
from wavepool.errors import MayHaveRun, NotStarted
from wavepool.testing.driver_contract.bounds import SLEEP_S, bounded
from wavepool.testing.driver_harness import DriverHarness
from wavepool.testing.observing import (
    phase_of,
    present,
    raised,
    scope_of,
    wait_ended,
    wait_for_output,
)


class OnceContract:
    """However often it is asked for, an attempt runs once at most."""

    @bounded
    async def test_starting_twice_runs_once(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.counts("twice", 0.1))
        async with harness.driver() as driver:
            first = await driver.start(spec)
            assert await driver.start(spec) == first
            await wait_ended(driver, spec)
            assert await driver.start(spec) == first, "one that has ended is adopted, not started again"
            await wait_ended(driver, spec)
        assert harness.executions(spec, "twice") == 1

    @bounded
    async def test_two_drivers_starting_at_once_run_once(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.counts("racing", 0.1))
        handles: list[Handle] = []

        async def start(driver: Driver) -> None:
            handles.append(await driver.start(spec))

        async with harness.driver() as one, harness.driver() as other:
            async with anyio.create_task_group() as group:
                group.start_soon(start, one)
                group.start_soon(start, other)
            assert handles[0] == handles[1]
            await wait_ended(one, spec)
        assert harness.executions(spec, "racing") == 1

    @bounded
    async def test_another_spec_hash_is_refused(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.counts("first", SLEEP_S))
        changed = {**spec.labels, labels.SPEC_HASH: "different"}
        other = replace(spec, command=harness.commands.counts("second", 0), spec_hash="different", labels=changed)
        async with harness.driver() as driver:
            await driver.start(spec)
            assert not (await raised(NotStarted, driver.start(other))).transient
            assert await phase_of(driver, spec) is Phase.RUNNING, "the one that runs is left alone"
        assert harness.executions(other, "second") == 0

    @bounded
    async def test_what_ran_and_was_removed_by_a_stranger_is_never_started_again(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.ignores_term())
        async with harness.driver() as driver:
            await wait_for_output(driver, await driver.start(spec), b"ready\n")
        await harness.remove_as_stranger(spec)
        async with harness.driver() as driver:
            error = await raised(MayHaveRun, driver.start(spec))
            assert spec.name in error.message
            assert await present(driver, scope_of(spec)) == frozenset()

    @bounded
    async def test_a_mark_alone_is_enough_as_nobody_can_know(self, harness: DriverHarness) -> None:
        if not harness.marks_slots:
            raise SkipTest("this driver needs no mark")
        spec = harness.spec(harness.commands.counts("marked", 0))
        make_mark(spec.slot)  # as by a process that died between the mark and the start
        async with harness.driver() as driver:
            await raised(MayHaveRun, driver.start(spec))
        assert harness.executions(spec, "marked") == 0
