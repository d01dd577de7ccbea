"""How attempts end, and what is said of it."""

from __future__ import annotations

from unittest import SkipTest

from wavepool.drivers.base import Phase
from wavepool.model import VerdictKind
from wavepool.testing.driver_contract.bounds import OOM_LIMIT_BYTES, bounded
from wavepool.testing.driver_harness import DriverHarness
from wavepool.testing.observing import (
    refusal_code,
    run_to_end,
)


class EndingContract:
    """How attempts end, and what is said of it."""

    @bounded
    async def test_exit_0_is_success(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            told = await run_to_end(driver, harness.spec(harness.commands.exits(0)))
        assert told.phase is Phase.EXITED
        assert told.ending is not None
        assert told.ending.kind is VerdictKind.SUCCESS
        assert told.ending.evidence.exit_code == 0

    @bounded
    async def test_a_non_zero_exit_is_a_result(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            for code in (1, 42, 137):
                told = await run_to_end(driver, harness.spec(harness.commands.exits(code)))
                assert told.ending is not None
                assert told.ending.kind is VerdictKind.FAILED, "137 by its own will is not OOM"
                assert told.ending.evidence.exit_code == code
                assert told.ending.evidence.reason

    @bounded
    async def test_a_kill_by_itself_is_failed_and_not_ours(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            told = await run_to_end(driver, harness.spec(harness.commands.kills_itself()))
        assert told.ending is not None
        assert told.ending.kind is VerdictKind.FAILED
        assert told.ending.evidence.exit_code == 137
        assert told.ending.evidence.signal_sender not in ("kernel", "wavepool")

    @bounded
    async def test_the_times_of_an_ending_are_in_order(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            told = await run_to_end(driver, harness.spec(harness.commands.exits(0)))
        assert told.ending is not None
        started, finished = told.ending.started_at, told.ending.finished_at
        assert started is not None
        assert finished is not None
        assert started.tzinfo is not None
        assert started <= finished

    @bounded
    async def test_out_of_memory_is_oom(self, harness: DriverHarness) -> None:
        command = harness.commands.oom()
        if command is None:
            raise SkipTest("this driver cannot enforce a memory limit here")
        async with harness.driver() as driver:
            told = await run_to_end(driver, harness.spec(command, memory_bytes=OOM_LIMIT_BYTES))
        assert told.ending is not None
        assert told.ending.kind is VerdictKind.OOM
        assert told.ending.evidence.exit_code == 137
        assert told.ending.evidence.signal_sender == "kernel"

    @bounded
    async def test_a_child_out_of_memory_is_evidence_only(self, harness: DriverHarness) -> None:
        command = harness.commands.child_oom()
        if command is None:
            raise SkipTest("this driver cannot enforce a memory limit here")
        async with harness.driver() as driver:
            told = await run_to_end(driver, harness.spec(command, memory_bytes=OOM_LIMIT_BYTES))
        assert told.ending is not None
        assert told.ending.kind is VerdictKind.SUCCESS
        assert told.ending.evidence.exit_code == 0
        assert told.ending.evidence.child_oom is True

    @bounded
    async def test_a_missing_program_is_127(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            assert await refusal_code(driver, harness.spec(harness.commands.missing_program())) == 127

    @bounded
    async def test_a_file_that_cannot_be_executed_is_126(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            assert await refusal_code(driver, harness.spec(harness.commands.not_executable())) == 126
