"""What can be read of an attempt: its output and what it uses."""

from __future__ import annotations

from wavepool.errors import NoSuchAttempt
from wavepool.testing.driver_contract.bounds import bounded
from wavepool.testing.driver_harness import DriverHarness
from wavepool.testing.observing import (
    output,
    raised,
    wait_ended,
    wait_for_output,
)


class ReadingContract:
    """What can be read of an attempt: its output and what it uses."""

    # ---- logs ----

    @bounded
    async def test_logs_are_byte_exact_on_both_streams(self, harness: DriverHarness) -> None:
        stdout = bytes(range(256)) + b"\xff\xfe no newline at the end: \xc3"
        stderr = b"warning: 100%\r\n\x00\xf0\x28\x8c\x28\n"
        async with harness.driver() as driver:
            handle = await driver.start(spec := harness.spec(harness.commands.prints(stdout, stderr)))
            await wait_ended(driver, spec)
            assert await output(driver, handle) == (stdout, stderr)
            assert await output(driver, handle) == (stdout, stderr), "reading does not consume"

    @bounded
    async def test_logs_of_a_running_attempt_end_with_it(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            handle = await driver.start(harness.spec(harness.commands.ignores_term()))
            async with driver.logs(handle) as chunks:
                assert (await anext(chunks)).data.startswith(b"ready")
                await driver.stop(handle, 0)
                async for chunk in chunks:
                    assert chunk.data

    @bounded
    async def test_logs_of_a_running_attempt_can_be_read_so_far(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            handle = await driver.start(harness.spec(harness.commands.ignores_term()))
            await wait_for_output(driver, handle, b"ready\n")
            async with driver.logs(handle, follow=False) as chunks:
                assert b"".join([chunk.data async for chunk in chunks]).startswith(b"ready")
            assert handle in await driver.usage([handle]), "it runs still"

    @bounded
    async def test_logs_of_what_is_gone_are_refused(self, harness: DriverHarness) -> None:
        async with harness.driver() as driver:
            handle = await driver.start(spec := harness.spec(harness.commands.exits(0)))
            await wait_ended(driver, spec)
            await driver.remove(handle)
            await raised(NoSuchAttempt, output(driver, handle))

    # ---- usage ----

    @bounded
    async def test_usage_reads_what_runs_and_leaves_out_the_rest(self, harness: DriverHarness) -> None:
        running = harness.spec(harness.commands.ignores_term())
        ended = harness.spec(harness.commands.exits(0))
        async with harness.driver() as driver:
            alive, dead = await driver.start(running), await driver.start(ended)
            await wait_for_output(driver, alive, b"ready\n")
            await wait_ended(driver, ended)
            readings = await driver.usage([alive, dead])
        assert set(readings) == {alive}
        reading = readings[alive]
        assert reading.memory_limit_bytes == running.limits.memory_bytes
        assert 0 < reading.memory_bytes <= reading.memory_limit_bytes
        assert reading.pids >= 1
        assert reading.cpu_s >= 0
