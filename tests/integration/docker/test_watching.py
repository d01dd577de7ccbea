"""Watching through lost connections, and logs that are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from wavepool.drivers.base import Observation, Phase, Scope, Synced
from wavepool.errors import DriverUnavailable
from wavepool.model import VerdictKind
from wavepool.testing.observing import (
    ending_from,
    keys,
    output,
    raised,
    run_to_end,
    scope_of,
    start_all,
    wait_ended,
    wait_for_output,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import DockerWorld, Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


async def until_synced(states: AsyncIterator[Observation | Synced]) -> tuple[list[Observation], Synced]:
    before: list[Observation] = []
    async for told in states:
        if isinstance(told, Synced):
            return before, told
        before.append(told)
    raise AssertionError("the watch ended by itself")


async def test_after_a_gap_all_states_are_told_again(world: DockerWorld, proxy: Proxy) -> None:
    stays, ends, goes = world.sh("sleep 600"), world.sh("sleep 600"), world.sh("sleep 600")
    async with world.driver() as direct, world.driver(host=proxy.host) as driver:
        handles = await start_all(direct, (stays, ends, goes))
        async with driver.watch(Scope(owner=world.owner)) as states:
            before, synced = await until_synced(states)
            assert {told.phase for told in before} == {Phase.RUNNING}
            assert synced.present == keys(stays, ends, goes)
            proxy.down()
            await direct.stop(handles[ends.attempt], 5)
            await direct.remove(handles[goes.attempt])
            async with anyio.create_task_group() as group:
                proxy.up()
                await group.start(proxy.serve)
                again, synced = await until_synced(states)
                assert synced.present == keys(stays, ends)
                phases = {told.handle.attempt: told.phase for told in again}
                assert phases[stays.attempt] is Phase.RUNNING
                assert phases[ends.attempt] is Phase.EXITED
                assert phases[goes.attempt] is Phase.GONE
                await direct.stop(handles[stays.attempt], 5)
                assert (await ending_from(states, stays)).phase is Phase.EXITED
                group.cancel_scope.cancel()


async def test_a_cut_stream_is_picked_up_where_it_was(world: DockerWorld, proxy: Proxy) -> None:
    spec = world.sh("sleep 600")
    async with world.driver() as direct, world.driver(host=proxy.host) as driver:
        await direct.start(spec)
        async with driver.watch(scope_of(spec)) as states:
            await until_synced(states)
            for _ in range(3):
                proxy.down()
                async with anyio.create_task_group() as group:
                    proxy.up()
                    await group.start(proxy.serve)
                    _, synced = await until_synced(states)
                    assert synced.present == keys(spec)
                    group.cancel_scope.cancel()


async def test_what_came_and_went_before_is_not_told(world: DockerWorld) -> None:
    spec = world.sh("true")
    async with world.driver() as driver, world.driver() as restarted:
        handle = (await run_to_end(driver, spec)).handle
        await driver.remove(handle)
        async with restarted.watch(Scope(owner=world.owner)) as states:
            assert await anext(states) == Synced(present=frozenset())
            await driver.start(later := world.sh("exit 5"))
            assert (await anext(states)).handle.attempt == later.attempt


async def test_patience_ends(world: DockerWorld, proxy: Proxy) -> None:
    async with (
        world.driver(host=proxy.host, patience_s=0.3) as driver,
        driver.watch(Scope(owner=world.owner)) as states,
    ):
        await until_synced(states)
        proxy.down()
        error = await raised(DriverUnavailable, anext(states))
        assert "stayed away" in error.message
        await raised(DriverUnavailable, anext(states))


async def test_errors_of_the_body_come_out_as_they_are(world: DockerWorld) -> None:
    async with world.driver() as driver:
        with pytest.raises(KeyError, match="mine"):
            async with driver.watch(Scope(owner=world.owner)):
                raise KeyError("mine")


async def test_a_slow_consumer_hears_the_last_word(world: DockerWorld) -> None:
    specs = [world.sh("exit 4") for _ in range(6)]
    async with world.driver() as driver, driver.watch(Scope(owner=world.owner)) as states:
        await until_synced(states)
        await start_all(driver, specs)
        for spec in specs:
            await wait_ended(driver, spec)
        told: dict[object, Phase] = {}
        while set(told.values()) != {Phase.EXITED} or len(told) < len(specs):
            word = await anext(states)
            assert isinstance(word, Observation)
            told[word.handle.attempt] = word.phase


async def test_what_is_no_attempt_is_ignored(world: DockerWorld) -> None:
    plain = await world.docker("create", "--label", f"wavepool.owner={world.owner}", world.image, "true")
    async with world.driver() as driver, driver.watch(Scope(owner=world.owner)) as states:
        assert await anext(states) == Synced(present=frozenset())
        assert (await driver.remove(Scope(owner=world.owner))).errors == ()
    assert plain not in await world.docker("ps", "-aq", "--no-trunc")


async def test_logs_keep_every_byte_and_both_streams(world: DockerWorld) -> None:
    script = r"printf 'a\377\000b\r\n\n\nlast'; printf 'err\303\n' >&2; head -c 100000 /dev/zero | tr '\000' '\376'"
    spec = world.sh(script)
    async with world.driver() as driver:
        handle = await driver.start(spec)
        during = await output(driver, handle)
        after = await output(driver, handle)
    assert during == after == (b"a\xff\x00b\r\n\n\nlast" + b"\xfe" * 100_000, b"err\xc3\n")


async def test_logs_of_one_that_never_started_are_empty(world: DockerWorld) -> None:
    spec = world.sh("true", network=f"none-{world.owner}")
    async with world.driver() as driver:
        with pytest.raises(Exception, match="not found"):
            await driver.start(spec)
        (handle,) = [told.handle for told in (await _states(driver, world))]
        assert await output(driver, handle) == (b"", b"")


async def test_a_log_that_is_cut_says_so(world: DockerWorld, proxy: Proxy) -> None:
    spec = world.sh("echo ready; sleep 600")
    async with world.driver(host=proxy.host) as driver:
        handle = await driver.start(spec)
        await wait_for_output(driver, handle, b"ready\n")
        async with driver.logs(handle) as stream:
            assert (await anext(stream)).data == b"ready\n"
            proxy.down()
            await raised(DriverUnavailable, anext(stream))


async def test_a_failed_start_is_told_to_those_who_come_later(world: DockerWorld) -> None:
    spec = world.sh("true", network=f"none-{world.owner}")
    async with world.driver() as driver:
        with pytest.raises(Exception, match="not found"):
            await driver.start(spec)
    async with world.driver() as later:
        (told,) = await _states(later, world)
    assert told.phase is Phase.EXITED
    assert told.ending is not None
    assert told.ending.kind is VerdictKind.START_ERROR
    assert "not found" in (told.ending.evidence.daemon_error or "")


async def _states(driver: object, world: DockerWorld) -> list[Observation]:
    async with driver.watch(Scope(owner=world.owner)) as states:  # type: ignore[attr-defined]
        return (await until_synced(states))[0]
