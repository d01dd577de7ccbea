"""What reaches the task: prompt, variables, secrets, directory, whatever its id."""

from __future__ import annotations

from dataclasses import replace

from wavepool.drivers.base import Scope
from wavepool.model import VerdictKind
from wavepool.testing.driver_contract.bounds import bounded
from wavepool.testing.driver_harness import DriverHarness
from wavepool.testing.observing import (
    keys,
    output,
    present,
    start_all,
    wait_ended,
)

PROMPT_BYTES = 200 * 1024

HOSTILE_IDS = (
    "../../x",
    "-x",
    "a\nb\tc",
    "ünï 漢字 🎉",
    "$(id);rm -rf /",
    "UPPER/lower'\"",
    "--privileged",
    "i" * 256,
)


class GivingContract:
    """What reaches the task: prompt, variables, secrets, directory, whatever its id."""

    @bounded
    async def test_the_prompt_arrives_byte_for_byte(self, harness: DriverHarness) -> None:
        start = "line\n\n\ttab 'single' \"double\" `tick` $HOME ${x} \\ %s \r\n 漢字 🎉 é "
        prompt = start * (PROMPT_BYTES // len(start.encode()) + 1) + "\n\n"
        async with harness.driver() as driver:
            handle = await driver.start(spec := harness.spec(harness.commands.shows_prompt(), prompt=prompt))
            await wait_ended(driver, spec)
            assert (await output(driver, handle))[0] == prompt.encode()

    @bounded
    async def test_a_prompt_of_one_long_line_arrives(self, harness: DriverHarness) -> None:
        prompt = "start" + "x" * PROMPT_BYTES + "end\n\n"
        async with harness.driver() as driver:
            handle = await driver.start(spec := harness.spec(harness.commands.shows_prompt(), prompt=prompt))
            await wait_ended(driver, spec)
            shown = (await output(driver, handle))[0]
        # Docker's `local` log driver loses the newline of a line above 16 KiB (seen on 20.10); nothing else may be lost
        assert shown.replace(b"\n", b"") == prompt.encode().replace(b"\n", b"")

    @bounded
    async def test_a_prompt_that_fits_is_a_variable_too(self, harness: DriverHarness) -> None:
        prompt = "Fix 'it'\n\"now\" $HOME é"
        async with harness.driver() as driver:
            handle = await driver.start(spec := harness.spec(harness.commands.shows_env("TASK_PROMPT"), prompt=prompt))
            await wait_ended(driver, spec)
            assert (await output(driver, handle))[0] == prompt.encode()

    @bounded
    async def test_variables_arrive(self, harness: DriverHarness) -> None:
        value = "two\nlines, 'quotes', $dollar, = and é"
        async with harness.driver() as driver:
            spec = harness.spec(harness.commands.shows_env("GREETING"), env={"GREETING": value})
            handle = await driver.start(spec)
            await wait_ended(driver, spec)
            assert (await output(driver, handle))[0] == value.encode()

    @bounded
    async def test_secrets_arrive_as_files_only(self, harness: DriverHarness) -> None:
        value = b"s3cret\x00\xff\n"
        async with harness.driver() as driver:
            spec = harness.spec(harness.commands.shows_secret("TOKEN"), secret_values={"TOKEN": value})
            handle = await driver.start(spec)
            await wait_ended(driver, spec)
            assert (await output(driver, handle))[0] == value
            spec = harness.spec(harness.commands.shows_env("TOKEN"), secret_values={"TOKEN": value})
            handle = await driver.start(spec)
            await wait_ended(driver, spec)
            assert await output(driver, handle) == (b"", b""), "a secret is not a variable"

    @bounded
    async def test_it_runs_in_the_directory_that_it_was_told(self, harness: DriverHarness) -> None:
        spec = replace(harness.spec(harness.commands.shows_directory()), directory="/tmp")
        async with harness.driver() as driver:
            handle = await driver.start(spec)
            await wait_ended(driver, spec)
            assert (await output(driver, handle))[0] == b"/tmp"

    @bounded
    async def test_hostile_task_ids_work_and_come_back(self, harness: DriverHarness) -> None:
        specs = [harness.spec(harness.commands.shows_env("TASK_ID"), task_id=each) for each in HOSTILE_IDS]
        async with harness.driver() as driver:
            handles = await start_all(driver, specs)
            for spec in specs:
                told = await wait_ended(driver, spec)
                assert told.ending is not None
                assert told.ending.kind is VerdictKind.SUCCESS
                assert (await output(driver, handles[spec.attempt]))[0] == spec.attempt.task_id.encode()
            assert await present(driver, Scope(owner=harness.owner)) == keys(*specs)
