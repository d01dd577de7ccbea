"""What a container is given, and what it is kept from, as the kernel sees it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.usage.reading import CgroupReader
from wavepool.drivers.docker.usage.sweep import Sweeper
from wavepool.model import Limits, Mount, VerdictKind
from wavepool.testing.observing import output, run_to_end, wait_ended, wait_for_output

if TYPE_CHECKING:
    from conftest import DockerWorld

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

SECRET = b"hunter2-\x00\xff-value"


async def test_limits_reach_the_kernel(world: DockerWorld) -> None:
    limits = Limits(memory_bytes=24 << 20, cpus=0.5, pids=50)
    spec = replace(world.sh("echo ready; sleep 600"), limits=limits)
    async with world.driver() as driver:
        handle = await driver.start(spec)
        await wait_for_output(driver, handle, b"ready\n")
        (reading,) = (await driver.usage([handle])).values()
        assert reading.memory_limit_bytes == 24 << 20
        assert 0 < reading.memory_bytes < 24 << 20
        assert 2 <= reading.pids < 50
        reader = CgroupReader.find(handle.id)
        if reader is not None:  # the engine is on this host
            assert reading.oom_kills == 0
            assert reader.read().memory_limit_bytes == 24 << 20
            reader.close()
        api = DockerApi()  # as of a remote daemon, whose control groups are not here
        sweeper = Sweeper(api)
        (by_api,) = (await sweeper.sweep([handle], by_files=False)).values()
        await api.close()
        assert (by_api.memory_limit_bytes, by_api.pids) == (24 << 20, reading.pids)
        assert 0 < by_api.memory_bytes < 24 << 20
        assert by_api.cpu_s > 0
        config = (await world.inspect(spec.name))["HostConfig"]
    assert config["Memory"] == config["MemorySwap"] == config["MemoryReservation"] == 24 << 20
    assert (config["NanoCpus"], config["PidsLimit"]) == (500_000_000, 50)


async def test_it_has_no_powers(world: DockerWorld) -> None:
    async with world.driver() as driver:
        told = await run_to_end(driver, world.sh("grep -E 'CapEff|NoNewPrivs' /proc/self/status; test ! -w /"))
        lines = (await output(driver, told.handle))[0].decode().split()
    assert lines == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1"]


async def test_it_runs_as_the_workspace_s_owner_and_can_write_there(world: DockerWorld) -> None:
    async with world.driver() as driver:
        told = await run_to_end(driver, world.sh("id -u > here; pwd >> here"))
    assert told.ending is not None
    assert told.ending.kind is VerdictKind.SUCCESS
    status = (world.workspace / "here").stat()
    assert status.st_uid == world.workspace.stat().st_uid
    assert (world.workspace / "here").read_text() == f"{status.st_uid}\n/workspace\n"


async def test_no_network_is_no_network(world: DockerWorld) -> None:
    async with world.driver() as driver:
        told = await run_to_end(driver, world.sh("ls /sys/class/net"))
        assert (await output(driver, told.handle))[0].split() == [b"lo"]


async def test_mounts_are_read_only_unless_told(world: DockerWorld, tmp_path: Path) -> None:
    source = tmp_path / "a:b,c d"
    source.mkdir()
    (source / "file").write_text("from the host")
    mounts = (
        Mount(source=str(source), target="/ro"),
        Mount(source=str(source), target="/rw", read_only=False),
    )
    script = "cat /ro/file; touch /ro/x 2>/dev/null && exit 9; touch /rw/y"
    async with world.driver() as driver:
        told = await run_to_end(driver, world.sh(script, mounts=mounts))
        assert (await output(driver, told.handle))[0] == b"from the host"
    assert told.ending is not None
    assert told.ending.kind is VerdictKind.SUCCESS
    assert sorted(path.name for path in source.iterdir()) == ["file", "y"]


async def test_secrets_are_files_in_memory_and_nowhere_else(world: DockerWorld) -> None:
    script = (
        'cat "$WAVEPOOL_SECRETS_DIR/KEY"; stat -c %a /run/secrets/KEY >&2; grep " /run/secrets " /proc/mounts >&2;'
        "touch /run/secrets/x 2>/dev/null && echo writable >&2"
    )
    spec = replace(world.sh(script), secrets={"KEY": SECRET})
    async with world.driver() as driver:
        handle = await driver.start(spec)
        await wait_ended(driver, spec)
        stdout, stderr = await output(driver, handle)
        shown = await world.docker("inspect", spec.name)
        assert (world.secrets_dir / spec.name / "KEY").read_bytes() == SECRET
        await driver.remove(handle)
        assert not (world.secrets_dir / spec.name).exists()
    assert stdout == SECRET
    assert stderr.split()[0] == b"400"
    assert b"tmpfs /run/secrets tmpfs ro" in stderr
    assert b"writable" not in stderr
    assert "hunter2" not in shown
    assert "hunter2" not in repr(spec)


async def test_secrets_reach_a_user_of_another_number(world: DockerWorld) -> None:
    spec = replace(world.sh("cat /run/secrets/KEY; id -u >&2"), secrets={"KEY": SECRET}, user="4321:4321")
    async with world.driver() as driver:
        told = await run_to_end(driver, spec)
        assert await output(driver, told.handle) == (SECRET, b"4321\n")


@pytest.mark.parametrize("size", [10, 200 * 1024])
async def test_the_prompt_is_byte_exact(world: DockerWorld, size: int) -> None:
    prompt = ("'\"$HOME`x`\\ é漢🎉\r\n\t" * size)[:size] + "\n\n"
    script = 'cat "$TASK_PROMPT_FILE"; printf %s "${TASK_PROMPT-unset}" >&2'
    spec = replace(world.sh(script), prompt=prompt)
    async with world.driver() as driver:
        told = await run_to_end(driver, spec)
        stdout, stderr = await output(driver, told.handle)
    assert stdout == prompt.encode()
    assert stderr == (prompt.encode() if size == 10 else b"unset")
