"""Several commands in one container: in turn, to the first failure, and nothing of one is left in the next."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wavepool.drivers.base import AttemptSpec
from wavepool.errors import NotStarted
from wavepool.model import VerdictKind
from wavepool.testing.observing import ending_from, output, raised, run_to_end, scope_of, wait_for_output

if TYPE_CHECKING:
    from conftest import DockerWorld

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

DAEMON = "(setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 300; done' >/dev/null 2>&1 &)"
COUNT = "pidof sleep | wc -w"


def guarded(world: DockerWorld, *commands: str | tuple[str, ...]) -> AttemptSpec:
    argvs = tuple(("/bin/sh", "-c", each) if isinstance(each, str) else each for each in commands)
    return replace(world.sh(""), command=None, commands=argvs)


async def test_a_daemon_of_the_first_command_is_gone_in_the_second(world: DockerWorld) -> None:
    until_it_runs = "while ! pidof sleep >/dev/null; do :; done"
    spec = guarded(world, f"{DAEMON}; {until_it_runs}; {COUNT}", COUNT, ("echo", "a  'b' $c", ""))
    async with world.driver() as driver:
        told = await run_to_end(driver, spec)
        stdout, stderr = await output(driver, told.handle)
    assert told.ending is not None
    assert told.ending.kind is VerdictKind.SUCCESS
    assert stdout == b"1\n0\na  'b' $c \n", "it ran in its own command, not in the next; words arrive as they are"
    assert stderr == b""


async def test_the_first_failure_ends_it_and_is_named(world: DockerWorld) -> None:
    spec = guarded(world, "echo first", "echo 'a \"quoted\" $word' >&2; exit 7", "echo never")
    async with world.driver() as driver:
        told = await run_to_end(driver, spec)
        stdout, stderr = await output(driver, told.handle)
    assert told.ending is not None
    assert (told.ending.kind, told.ending.evidence.exit_code) == (VerdictKind.FAILED, 7)
    assert stdout == b"first\n"
    assert stderr.splitlines()[-1] == b"wavepool: command 2 of 3 failed with exit code 7"


async def test_processes_up_to_the_pids_limit_do_not_reach_the_next_command(world: DockerWorld) -> None:
    """With the limit reached nobody can fork: the guard kills with a builtin of its shell."""
    bomb = "(setsid sh -c 'while :; do sleep 300 & done' >/dev/null 2>&1 &)"
    until_it_is_full = "set --; while [ $# -lt 50 ]; do set -- /proc/[0-9]*; done"  # a shell that need not fork
    spec = guarded(world, f"{bomb}; {until_it_is_full}", "ps | wc -l")
    spec = replace(spec, limits=replace(spec.limits, pids=60, memory_bytes=64 << 20))
    async with world.driver() as driver:
        told = await run_to_end(driver, spec)
        stdout, _ = await output(driver, told.handle)
    assert told.ending is not None
    assert told.ending.kind is VerdictKind.SUCCESS
    assert int(stdout) <= 7, "init, the guard, the command with its two and a headline"


async def test_a_missing_program_is_127_of_its_command(world: DockerWorld) -> None:
    spec = guarded(world, "true", ("/no/such/program",))
    async with world.driver() as driver:
        told = await run_to_end(driver, spec)
        _, stderr = await output(driver, told.handle)
    assert told.ending is not None
    assert told.ending.evidence.exit_code == 127
    assert stderr.splitlines()[-1] == b"wavepool: command 2 of 2 failed with exit code 127"


async def test_a_stop_reaches_the_command_and_nothing_follows(world: DockerWorld) -> None:
    spec = guarded(world, "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done", "echo never")
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        handle = await driver.start(spec)
        await wait_for_output(driver, handle, b"ready\n")
        await driver.stop(handle, 10)
        told = await ending_from(states, spec)
        stdout, stderr = await output(driver, handle)
    assert told.ending is not None
    assert told.ending.evidence.exit_code == 3
    assert stdout == b"ready\nasked\n"
    assert b"command 1 of 2 was stopped" in stderr


async def test_memory_that_a_command_runs_out_of_is_an_oom(world: DockerWorld) -> None:
    spec = replace(guarded(world, "true", ("tail", "/dev/zero")), limits=replace(world.sh("").limits))
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        await driver.start(spec)
        told = await ending_from(states, spec)
    assert told.ending is not None
    assert told.ending.kind is VerdictKind.OOM


async def test_without_a_shell_it_does_not_start_and_says_why(world: DockerWorld, tmp_path: Path) -> None:
    """An image of nothing but a file, made for this test alone."""
    image = f"wavepool-noshell-{world.owner}:latest"
    (tmp_path / "file").write_text("no program")
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        tar.add(tmp_path / "file", "file")
    await world.docker("import", str(tmp_path / "image.tar"), image)
    try:
        spec = replace(guarded(world, "true"), image=image)
        async with world.driver() as driver:
            error = await raised(NotStarted, driver.start(spec))
            assert "no /bin/sh" in str(error)
            assert not error.transient
            await driver.remove(scope_of(spec))
    finally:
        await world.docker("rmi", "-f", image)
