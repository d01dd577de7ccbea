"""The contract suite: what every driver must do, the memory one included.

Give it a fixture ``harness`` (a `DriverHarness`, entered) and a class of your own::

    pytestmark = pytest.mark.anyio

    class TestMyDriver(DriverContract):
        pass

A test that a driver cannot take (no images, no memory limits) raises `unittest.SkipTest`, which pytest reports.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import TypeVar
from unittest import SkipTest

import anyio

from wavepool import labels
from wavepool.drivers.base import Driver, Handle, Needs, NetworkNeed, Observation, Phase, Scope, Synced
from wavepool.drivers.start_mark import make_mark
from wavepool.errors import MayHaveRun, NoSuchAttempt, NotStarted, PrepareError
from wavepool.model import AttemptId, VerdictKind
from wavepool.testing.driver_harness import DriverHarness
from wavepool.testing.observing import (
    ending_from,
    keys,
    output,
    phase_of,
    present,
    raised,
    refusal_code,
    run_to_end,
    scope_of,
    start_all,
    thawed,
    wait_ended,
    wait_for_output,
)
from wavepool.units import MIB

SLEEP_S = 60.0
"""Longer than any test lasts: what sleeps this long runs until it is stopped."""

OOM_LIMIT_BYTES = 24 * MIB
"""Above Docker's minimum with its start-up, far below the 64 MiB that the OOM commands take."""

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

_Suite = TypeVar("_Suite")


def bounded(
    test: Callable[[_Suite, DriverHarness], Awaitable[None]],
) -> Callable[[_Suite, DriverHarness], Coroutine[None, None, None]]:
    """Fail a test that lasts longer than its harness has patience."""

    @functools.wraps(test)
    async def within(self: _Suite, harness: DriverHarness) -> None:
        with anyio.fail_after(harness.patience_s):
            await test(self, harness)

    return within


class DriverContract:
    """Tests of what `wavepool.drivers.base.Driver` promises."""

    # ---- endings ----

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

    # ---- at most once ----

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

    # ---- what reaches the task ----

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

    # ---- the engine ----

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
