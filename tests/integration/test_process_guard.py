"""Several commands of one task without containers: nothing of one is left in the next, and nothing else is touched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.process import ProcessDriver
from wavepool.model import VerdictKind
from wavepool.testing.driver_harness import DriverHarness, ShellCommands
from wavepool.testing.observing import ending_from, output, run_to_end, scope_of, wait_for_output
from wavepool.units import MIB

pytestmark = pytest.mark.anyio

PATIENCE_S = 120.0
DAEMON = "setsid sh -c 'echo $$ > {mark}; trap \"\" TERM HUP; while :; do sleep 300; done' >/dev/null 2>&1 &"
WAIT = "while [ ! -s {mark} ]; do sleep 0.01; done; kill -0 $(cat {mark})"


class World(DriverHarness):
    """A base directory, with or without control groups."""

    def __init__(self, root: Path, *, bare: bool) -> None:
        super().__init__(root)
        self.commands = ShellCommands(unexecutable="/none", enforces_memory=False)
        self.cgroup_root = root / "no-cgroups" if bare else None

    def driver(self) -> ProcessDriver:
        return ProcessDriver(base_dir=self.root / "base", cgroup_root=self.cgroup_root)

    def guarded(self, *commands: str) -> AttemptSpec:
        argvs = tuple(("/bin/sh", "-c", command) for command in commands)
        return replace(self.spec(("true",), memory_bytes=64 * MIB), command=None, commands=argvs)


@pytest.fixture(params=["cgroups", "bare"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    with anyio.fail_after(PATIENCE_S):
        async with World(tmp_path, bare=request.param == "bare") as made:
            yield made


async def test_a_daemon_is_gone_in_the_next_command_and_a_stranger_is_not(world: World, tmp_path: Path) -> None:
    mark = tmp_path / "daemon"
    stranger = await anyio.open_process(["sleep", "60"], start_new_session=True)
    try:
        first = f"{DAEMON.format(mark=mark)} {WAIT.format(mark=mark)}"
        spec = world.guarded(
            first, f"kill -0 $(cat {mark}) 2>/dev/null && exit 9; echo gone", "sleep 0 & wait; echo end"
        )
        async with world.driver() as driver:
            told = await run_to_end(driver, spec)
            stdout, stderr = await output(driver, told.handle)
            await driver.remove(told.handle)
        assert stranger.returncode is None, "nothing but what the attempt left is ever killed"
    finally:
        stranger.kill()
        await stranger.wait()
    assert told.ending is not None
    assert told.ending.kind is VerdictKind.SUCCESS
    assert (stdout, stderr) == (b"gone\nend\n", b"")


async def test_limits_hold_for_every_command(world: World) -> None:
    """What keeps a group from growing while it is killed must not keep the next command from starting children."""
    spec = world.guarded("sleep 300 & true", "sh -c 'sh -c \"echo deep\"; true'")
    spec = replace(spec, limits=replace(spec.limits, pids=20))
    async with world.driver() as driver:
        told = await run_to_end(driver, spec)
        assert (await output(driver, told.handle))[0] == b"deep\n"
        await driver.remove(told.handle)


async def test_the_first_failure_ends_it_and_is_named(world: World) -> None:
    spec = world.guarded("echo first", "exit 7", "echo never")
    async with world.driver() as driver:
        told = await run_to_end(driver, spec)
        stdout, stderr = await output(driver, told.handle)
        await driver.remove(told.handle)
    assert told.ending is not None
    assert (told.ending.kind, told.ending.evidence.exit_code) == (VerdictKind.FAILED, 7)
    assert stdout == b"first\n"
    assert stderr == b"wavepool: command 2 of 3 failed with exit code 7\n"


async def test_a_stop_reaches_the_command_and_nothing_follows(world: World) -> None:
    spec = world.guarded("trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done", "echo never")
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        handle = await driver.start(spec)
        await wait_for_output(driver, handle, b"ready\n")
        await driver.stop(handle, 10)
        await ending_from(states, spec)
        stdout, stderr = await output(driver, handle)
        await driver.remove(handle)
    assert stdout == b"ready\nasked\n"
    assert stderr.splitlines()[-1] == b"wavepool: command 1 of 2 was stopped"
