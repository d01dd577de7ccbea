"""The contract suite of `wavepool.drivers.parking.SupportsParking`, for every driver that can park.

Give it a fixture ``harness`` as `wavepool.testing.driver_contract` says, and a class of your own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import anyio

from wavepool.drivers.base import AttemptSpec, Driver, Handle, Observation, Phase
from wavepool.drivers.parking import Claim, SupportsParking
from wavepool.errors import InputError, NotClaimed, NotStarted
from wavepool.model import Limits, VerdictKind
from wavepool.testing.driver_contract import OOM_LIMIT_BYTES, SLEEP_S, bounded
from wavepool.testing.driver_harness import Argv, DriverHarness
from wavepool.testing.observing import (
    ending_from,
    output,
    phase_of,
    present,
    raised,
    scope_of,
    wait_ended,
    wait_for_output,
)
from wavepool.units import MIB


def parker(driver: Driver) -> SupportsParking:
    """The driver's other face."""
    assert isinstance(driver, SupportsParking)
    return driver


def late(harness: DriverHarness, env: Mapping[str, str] | None = None) -> AttemptSpec:
    """The spec of a container that is told at its claim what to run."""
    spec = harness.spec(None, env=env)
    return replace(spec, late=True, workspace=spec.slot / "work")


async def read_to_end(driver: Driver, handle: Handle) -> None:
    """Follow its output until there will be no more of it."""
    with anyio.fail_after(SLEEP_S):
        await output(driver, handle)


class ParkingContract:
    """Tests of what a driver that can park promises."""

    # ---- bound ----

    @bounded
    async def test_a_parked_attempt_is_created_until_its_start_and_then_like_any_other(
        self, harness: DriverHarness
    ) -> None:
        spec = harness.spec(harness.commands.counts("bound", 0.1), env={"GREETING": "it's\n$HOME"})
        async with harness.driver() as driver, driver.watch(scope_of(spec)) as states:
            handle = await parker(driver).park(spec)
            assert parker(driver).is_parked(handle)
            assert parker(driver).claimed_at(spec.slot) is None
            assert await phase_of(driver, spec) is Phase.CREATED
            assert harness.executions(spec, "bound") == 0
            before = datetime.now(UTC)
            assert await driver.start(spec) == handle
            assert not parker(driver).is_parked(handle)
            assert await driver.start(spec) == handle, "what was claimed is adopted"
            told = [await anext(states) for _ in range(1)]
            ended = await ending_from(states, spec)
            assert told
            assert ended.ending is not None
            assert ended.ending.kind is VerdictKind.SUCCESS
            assert ended.started_at == parker(driver).claimed_at(spec.slot)
            if harness.marks_slots:
                assert ended.started_at is not None
                assert abs((ended.started_at - before).total_seconds()) < harness.patience_s
            assert await driver.start(spec) == handle, "one that has ended is not started again"
        assert harness.executions(spec, "bound") == 1

    @bounded
    async def test_what_was_parked_by_a_process_that_is_gone_runs_cold_and_once(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.counts("orphan", 0.1))
        async with harness.driver() as driver:
            parked = await parker(driver).park(spec)
        async with harness.driver() as driver:
            await read_to_end(driver, parked)
            assert await phase_of(driver, spec) is Phase.CREATED, "it ended, and nothing ran in it"
            assert not parker(driver).is_parked(parked)
            started = await driver.start(spec)
            assert started != parked
            assert (await wait_ended(driver, spec)).ending is not None
            assert await driver.start(spec) == started
        assert harness.executions(spec, "orphan") == 1

    @bounded
    async def test_a_parked_attempt_that_was_removed_by_others_runs_cold(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.counts("removed", 0.1))
        async with harness.driver() as driver, driver.watch(scope_of(spec)) as states:
            parked = await parker(driver).park(spec)
            await harness.remove_as_stranger(spec)
            assert await driver.start(spec) != parked
            told = await ending_from(states, spec)
            assert told.phase is Phase.EXITED, "the removal of one that never ran is nobody's loss"
        assert harness.executions(spec, "removed") == 1

    @bounded
    async def test_another_driver_starting_what_is_parked_here_runs_it_once(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.counts("both", 0.1))
        async with harness.driver() as one, harness.driver() as other:
            await parker(one).park(spec)
            started = await other.start(spec)
            assert await one.start(spec) == started
            await wait_ended(one, spec)
        assert harness.executions(spec, "both") == 1

    @bounded
    async def test_parking_again_takes_the_place_of_what_nobody_can_claim(self, harness: DriverHarness) -> None:
        spec = harness.spec(harness.commands.counts("again", 0.1))
        async with harness.driver() as driver:
            first = await parker(driver).park(spec)
            await parker(driver).unpark(first)
            second = await parker(driver).park(spec)
            assert second != first
            assert await driver.start(spec) == second
            await wait_ended(driver, spec)
            assert "ran" in (await raised(NotStarted, parker(driver).park(spec))).message
        assert harness.executions(spec, "again") == 1

    # ---- late ----

    @bounded
    async def test_a_late_container_runs_what_its_claim_says(self, harness: DriverHarness) -> None:
        prompt = "écris « bonjour »\n'$(id)'\n"
        secret = bytes(range(256))
        told = (
            (harness.commands.shows_env("GREETING"), 'it\'s\n"$HOME" \\'),
            (harness.commands.shows_env("KIND"), "warm"),
            (harness.commands.shows_env("TASK_PROMPT"), prompt),
            (harness.commands.shows_prompt(), prompt),
        )
        async with harness.driver() as driver:
            for command, expected in told:
                spec = late(harness, env={"KIND": "warm"})
                handle = await parker(driver).park(spec)
                claim = Claim(command=command, env={"GREETING": 'it\'s\n"$HOME" \\'}, prompt=prompt)
                await parker(driver).claim(handle, claim)
                assert (await output(driver, handle))[0].decode() == expected
            spec = late(harness)
            handle = await parker(driver).park(spec)
            await parker(driver).claim(
                handle, Claim(command=harness.commands.shows_secret("key"), secrets={"key": secret})
            )
            assert (await output(driver, handle))[0] == secret
            handle = await parker(driver).park(late(harness))
            elsewhere = Claim(command=harness.commands.shows_directory(), directory="/tmp")
            await parker(driver).claim(handle, elsewhere)
            assert (await output(driver, handle))[0] == b"/tmp"

    @bounded
    async def test_endings_of_claimed_containers_are_those_of_cold_ones(self, harness: DriverHarness) -> None:
        commands = harness.commands
        cases: list[tuple[Argv, VerdictKind, int]] = [
            (commands.exits(42), VerdictKind.FAILED, 42),
            (commands.missing_program(), VerdictKind.FAILED, 127),
            (commands.kills_itself(), VerdictKind.FAILED, 137),
        ]
        oom = commands.oom()
        if oom is not None:
            cases.append((oom, VerdictKind.OOM, 137))
        async with harness.driver() as driver:
            for command, kind, code in cases:
                spec = late(harness)
                handle = await parker(driver).park(spec)
                limits = Limits(memory_bytes=OOM_LIMIT_BYTES)
                await parker(driver).claim(handle, Claim(command=command, limits=limits))
                told = await wait_ended(driver, spec)
                assert told.ending is not None
                assert (told.ending.kind, told.ending.evidence.exit_code) == (kind, code)

    @bounded
    async def test_a_claim_is_taken_once_and_not_after_an_end(self, harness: DriverHarness) -> None:
        claim = Claim(command=harness.commands.sleeps(SLEEP_S))
        async with harness.driver() as driver:
            claimed, unparked, stopped = [await parker(driver).park(late(harness)) for _ in range(3)]
            await parker(driver).claim(claimed, claim)
            await raised(NotClaimed, parker(driver).claim(claimed, claim))
            await parker(driver).unpark(unparked)
            await parker(driver).unpark(unparked)
            assert not parker(driver).is_parked(unparked)
            await read_to_end(driver, unparked)
            await raised(NotClaimed, parker(driver).claim(unparked, claim))
            await driver.stop(stopped, 1)
            await raised(NotClaimed, parker(driver).claim(stopped, claim))

    @bounded
    async def test_a_claim_that_cannot_be_told_leaves_it_parked(self, harness: DriverHarness) -> None:
        command = harness.commands.exits(7)
        async with harness.driver() as driver:
            spec = late(harness)
            handle = await parker(driver).park(spec)
            for env in ({"a b": "x"}, {"1A": "x"}, {"A": "nul\0"}):
                await raised(InputError, parker(driver).claim(handle, Claim(command=command, env=env)))
            await raised(InputError, parker(driver).claim(handle, Claim(command=())))
            assert parker(driver).is_parked(handle)
            await parker(driver).claim(handle, Claim(command=command))
            told = await wait_ended(driver, spec)
        assert told.ending is not None
        assert told.ending.evidence.exit_code == 7

    @bounded
    async def test_the_unclaimed_end_with_their_driver_and_the_claimed_go_on(self, harness: DriverHarness) -> None:
        command = harness.commands.sleeps(SLEEP_S)
        async with harness.driver() as driver:
            specs = [late(harness) for _ in range(2)]
            claimed, unclaimed = [await parker(driver).park(spec) for spec in specs]
            await parker(driver).claim(claimed, Claim(command=command))
        async with harness.driver() as driver:
            await read_to_end(driver, unclaimed)
            assert [await phase_of(driver, spec) for spec in specs] == [Phase.RUNNING, Phase.CREATED]
            assert parker(driver).claimed_at(specs[0].slot) is not None
            assert parker(driver).claimed_at(specs[1].slot) is None

    @bounded
    async def test_removing_what_is_parked_leaves_nothing_and_is_told_by_nobody(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            specs = [late(harness) for _ in range(2)]
            last = harness.spec(harness.commands.exits(0))
            async with driver.watch(scope_of(last)) as states:
                one, other = [await parker(driver).park(spec) for spec in specs]
                assert (await driver.remove(one)).errors == ()
                removed = await driver.remove(scope_of(last))
                assert removed.containers == (other.name,)
                assert not parker(driver).is_parked(other)
                await driver.start(last)
                told: list[Phase] = []
                while not told or told[-1] is not Phase.EXITED:
                    state = await anext(states)
                    told += [state.phase] if isinstance(state, Observation) else []
                assert Phase.GONE not in told
            assert await present(driver, scope_of(last)) == {(last.run_id, last.attempt)}

    @bounded
    async def test_a_claimed_container_is_stopped_and_removed_by_its_handle(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            spec = late(harness)
            handle = await parker(driver).park(spec)
            limits = Limits(memory_bytes=48 * MIB)
            await parker(driver).claim(handle, Claim(command=harness.commands.ignores_term(), limits=limits))
            await wait_for_output(driver, handle, b"ready\n")
            usage = await driver.usage([handle])
            if handle in usage:
                assert usage[handle].memory_limit_bytes == limits.memory_bytes
            await driver.stop(handle, 0.2)
            told = await wait_ended(driver, spec)
            assert told.ending is not None
            assert told.ending.evidence.exit_code == 137
            assert (await driver.remove(handle)).errors == ()
            assert await present(driver, scope_of(spec)) == frozenset()
