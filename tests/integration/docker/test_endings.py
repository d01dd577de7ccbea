"""How containers of the real engine end, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from wavepool.drivers.base import Observation, Phase, Scope
from wavepool.model import Ending, VerdictKind
from wavepool.testing.observing import ending_from, run_to_end, scope_of, wait_ended, wait_for_output

if TYPE_CHECKING:
    from conftest import DockerWorld

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


def ended(told: Observation) -> Ending:
    assert told.ending is not None
    return told.ending


@pytest.mark.parametrize("code", [0, 1, 126, 127, 137, 255])
async def test_exit_codes_are_results(world: DockerWorld, code: int) -> None:
    spec = world.sh(f"exit {code}")
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        await driver.start(spec)
        live = ended(await ending_from(states, spec))
        later = ended(await wait_ended(driver, spec))
    for found in (live, later):
        assert found.kind is (VerdictKind.SUCCESS if code == 0 else VerdictKind.FAILED)
        assert found.evidence.exit_code == code
        assert found.evidence.child_oom is None
    assert live.evidence.signal_sender == ("task" if code == 137 else None)


async def test_a_missing_program_is_127_with_its_reason(world: DockerWorld) -> None:
    async with world.driver() as driver:
        found = ended(await run_to_end(driver, world.spec(("/no/such/program", "x"))))
    assert found.kind is VerdictKind.FAILED
    assert found.evidence.exit_code == 127
    assert "not found" in found.evidence.reason


async def test_main_process_out_of_memory(world: DockerWorld) -> None:
    spec = world.spec(("tail", "/dev/zero"), memory_bytes=16 << 20)
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        await driver.start(spec)
        found = ended(await ending_from(states, spec))
    assert found.kind is VerdictKind.OOM
    assert found.evidence.signal_sender == "kernel"


async def test_child_out_of_memory_while_the_main_process_goes_on(world: DockerWorld) -> None:
    """The engine marks such a container OOMKilled; its 137 of its own will two seconds later is no OOM.

    It waits until it is called running: only then the engine listens for what the kernel kills.
    """
    script = "until [ -e go ]; do sleep 0.05; done; tail /dev/zero; sleep 2; exit 137"
    spec = world.sh(script, memory_bytes=16 << 20)
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        await driver.start(spec)
        (world.workspace / "go").touch()
        found = ended(await ending_from(states, spec))
        assert (await world.inspect(spec.name))["State"]["OOMKilled"] is True
    assert found.kind is VerdictKind.FAILED
    assert found.evidence.exit_code == 137
    assert found.evidence.child_oom is True


async def test_memory_kills_in_the_first_moments_are_never_missed(world: DockerWorld) -> None:
    """Four at once keep the engine so busy that it misses some itself; the cgroup counter does not."""
    specs = [world.spec(world.commands.oom(), memory_bytes=24 << 20) for _ in range(8)]
    kinds: list[VerdictKind] = []
    async with world.driver() as driver, driver.watch(Scope(owner=world.owner)) as states:
        for first in (0, 4):
            async with anyio.create_task_group() as group:
                for spec in specs[first : first + 4]:
                    group.start_soon(driver.start, spec)
        async for told in states:
            if isinstance(told, Observation) and told.ending is not None:
                kinds.append(told.ending.kind)
            if len(kinds) == len(specs):
                break
    assert set(kinds) == {VerdictKind.OOM}


async def test_a_stop_of_ours_is_told_apart(world: DockerWorld) -> None:
    spec = world.sh("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        handle = await driver.start(spec)
        await wait_for_output(driver, handle, b"ready\n")
        await driver.stop(handle, 0)
        found = ended(await ending_from(states, spec))
    assert found.kind is VerdictKind.FAILED
    assert (found.evidence.signal, found.evidence.signal_sender) == ("SIGKILL", "wavepool")


async def test_a_kill_by_someone_else_is_told_apart(world: DockerWorld) -> None:
    spec = world.sh("sleep 600")
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        await driver.start(spec)
        await world.docker("kill", spec.name)
        found = ended(await ending_from(states, spec))
    assert found.kind is VerdictKind.FAILED
    assert (found.evidence.signal, found.evidence.signal_sender) == ("SIGKILL", "other")


async def test_removal_of_a_running_one_by_someone_else_is_lost(world: DockerWorld) -> None:
    spec = world.sh("sleep 600")
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        await driver.start(spec)
        await world.docker("rm", "-f", spec.name)
        told = await ending_from(states, spec)
    assert told.phase is Phase.GONE
    assert ended(told).kind is VerdictKind.LOST
    assert "removed by someone else" in ended(told).evidence.reason


async def test_removal_of_an_ended_one_by_someone_else_comes_after_its_result(world: DockerWorld) -> None:
    spec = world.sh("exit 3")
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        await driver.start(spec)
        assert ended(await ending_from(states, spec)).evidence.exit_code == 3
        await world.docker("rm", spec.name)
        told = await ending_from(states, spec)
    assert (told.phase, ended(told).kind) == (Phase.GONE, VerdictKind.LOST)
