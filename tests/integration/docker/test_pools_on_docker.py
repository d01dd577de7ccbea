"""Pools on a real engine: what a claimed container is like, and what happens when it, or its engine, goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wavepool import AgentType, ContainerPool, Limits, PoolSettings, TaskExecution
from wavepool.drivers.docker import DockerDriver
from wavepool.engine.pools import Where
from wavepool.model import VerdictKind
from wavepool.statedir import StateDir
from wavepool.testing.own_daemon import OwnDaemon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conftest import DockerWorld

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
LIMITS = Limits(memory_bytes=64 << 20, cpus=1.0, pids=64)
CODER = AgentType(name="coder", image=IMAGE, limits=LIMITS, env={"CODER_MODE": "true"})
FIXED = PoolSettings(auto_scaling=False)
DEADLINE_S = 300


@asynccontextmanager
async def pool_in(
    world: DockerWorld, path: Path, settings: PoolSettings = FIXED, **more: Any
) -> AsyncIterator[ContainerPool]:
    """A pool; at its end nothing of it may be there, and the world looks once more."""
    world.allow(DEADLINE_S)
    world.owner = StateDir(path).owner()
    async with world.driver() as driver:
        async with ContainerPool((CODER,), FIXED, state_dir=path, driver=driver, **more) as pool:
            yield pool
        assert pool.left_behind == []
    assert StateDir(path).runs() == []


async def until(true: Callable[[], bool], within_s: float = 60.0) -> None:
    with anyio.fail_after(within_s):
        while not true():  # noqa: ASYNC110 - what is waited for is another process's doing
            await anyio.sleep(0.02)


LOOK = """
id -u; pwd; echo "$CODER_MODE $MORE $HOME"; cat /run/secrets/token "$TASK_PROMPT_FILE"
touch /workspace/mine /tmp/mine || echo not writable
touch /mine 2>/dev/null && echo the root can be written to
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status
echo oops >&2; exit 5
"""


async def test_a_warm_task_is_confined_and_gets_all_that_a_cold_one_gets(world: DockerWorld, tmp_path: Path) -> None:
    async def look(pool: ContainerPool) -> TaskExecution:
        return await pool.execute(
            "coder",
            ("/bin/sh", "-c", LOOK),
            env={"MORE": 'it\'s $HOME \\n\n"x"'},
            secrets={"token": b"not-to-be-seen"},
            prompt="do 'this' \U0001f30a\n",
        )

    async with pool_in(world, tmp_path) as pool:
        cold = await look(pool)
        await pool.warm(count=2)
        both = [await look(pool) for _ in range(2)]
        warm = min(both, key=lambda each: each.dispatch_s or 0.0)  # on a busy machine one of them may have to wait
        assert [each.where for each in (cold, *both)] == [Where.COLD, Where.WARM, Where.WARM]
        assert warm.stdout == cold.stdout
        assert (warm.stderr, warm.exit_code, warm.verdict.kind) == (b"oops\n", 5, VerdictKind.FAILED)
        lines = warm.stdout.decode().splitlines()
        assert lines[0] != "0"
        assert lines[1:5] == ["/workspace", "true it's $HOME \\n", '"x" /tmp', "not-to-be-seendo 'this' \U0001f30a"]
        assert [line.split()[1] for line in lines[5:]] == ["0000000000000000", "1", "2"]
        assert warm.dispatch_s is not None
        assert cold.dispatch_s is not None
        assert warm.dispatch_s < cold.dispatch_s

        await pool.warm(count=2)
        task = ("/bin/sh", "-c", "echo up; exec sleep 600")
        async with anyio.create_task_group() as group:
            up = anyio.Event()

            async def hold() -> None:
                await pool.execute(
                    "coder", task, secrets={"token": b"not-to-be-seen"}, on_output=lambda stream, data: up.set()
                )

            group.start_soon(hold)
            await up.wait()
            (seen,) = [await world.inspect(each) for each in await running(world, pool, "sleep 600")]
            assert "not-to-be-seen" not in json.dumps(seen)
            assert seen["HostConfig"]["ReadonlyRootfs"] is True
            group.cancel_scope.cancel()
        await until(lambda: pool.readings()[0].busy == 0)


async def running(world: DockerWorld, pool: ContainerPool, words: str) -> list[str]:
    """Ids of the pool's containers in which this runs; others come and go meanwhile."""
    ids = (await world.docker("ps", "-q", "--filter", f"label=wavepool.run={pool.session}")).split()
    tops = {each: await anyio.run_process(["docker", "top", each], check=False) for each in ids}
    return [each for each, top in tops.items() if words in top.stdout.decode()]


async def test_containers_that_die_and_callers_that_give_up_cost_no_task(world: DockerWorld, tmp_path: Path) -> None:
    async with pool_in(world, tmp_path) as pool:
        await pool.warm(count=2)
        # one that is dead as it is claimed: the engine is paused from telling by nothing, it is simply killed first
        first, second = [str(each["containerId"]) for each in pool.containers()]
        async with pool.claim("coder") as lease:
            (lease.workspace / "in.txt").write_text("placed")
            await world.docker("kill", first)
            done = await lease.run(("/bin/sh", "-c", "cat in.txt; echo out > out.txt"))
            assert (done.stdout, done.exit_code) == (b"placed", 0)
            assert done.tries == 2
            assert (lease.workspace / "out.txt").read_text() == "out\n"
        # one that dies while it is parked
        await pool.warm(count=2)
        idle = str(pool.containers()[0]["containerId"])
        lost = pool.readings()[0].lost
        await world.docker("rm", "-f", idle)
        await until(lambda: pool.readings()[0].lost > lost)
        await pool.warm(count=2)
        assert idle not in {each["containerId"] for each in pool.containers()}
        assert second != idle

        # a timeout, and a caller that gives up
        late = await pool.execute("coder", ("sleep", "600"), timeout_s=0.5)
        assert (late.verdict.kind, late.exit_code) == (VerdictKind.TIMEOUT, 124)
        with anyio.move_on_after(0.5):
            await pool.execute("coder", ("sleep", "600"))
        assert await running(world, pool, "sleep 600") == []

        # out of memory, more output than is kept, a missing program, other limits
        await pool.warm(count=2)
        greedy = await pool.execute("coder", ("/bin/sh", "-c", "exec tail /dev/zero"))
        assert greedy.verdict.kind is VerdictKind.OOM
        assert (await pool.execute("coder", ("no-such-program",))).exit_code == 127
        await pool.warm(count=1)
        small = await pool.execute(
            "coder",
            (
                "/bin/sh",
                "-c",
                "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true",
            ),
            limits=replace(LIMITS, memory_bytes=48 << 20),
        )
        assert (small.stdout.strip(), small.where) == (str(48 << 20).encode(), Where.RESIZED)
        assert await pool.check_health() == 0


async def test_more_claims_at_once_than_containers(world: DockerWorld, tmp_path: Path) -> None:
    found: list[TaskExecution] = []
    async with pool_in(world, tmp_path, output_limit_bytes=100) as pool:
        await pool.warm(count=2)

        async def one(number: int) -> None:
            found.append(await pool.execute("coder", ("/bin/sh", "-c", f"seq 1000; echo {number}")))

        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(one, number)
        assert sorted(int(each.stdout.split()[-1]) for each in found) == list(range(12))
        assert {len(each.stdout) for each in found} == {100}
        assert all(each.succeeded and each.dropped_bytes > 3000 for each in found)
        metrics = pool.metrics()
        assert (metrics.hits, metrics.misses) == (2, 10)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a Docker daemon")
async def test_a_daemon_that_restarts_under_a_full_pool(tmp_path: Path) -> None:
    """What was parked is dropped and made anew; what ran ends as the engine ended it, never as success."""
    with anyio.fail_after(2 * DEADLINE_S):
        (tmp_path / "daemon").mkdir()
        async with OwnDaemon(tmp_path / "daemon") as daemon:
            await daemon.load_image(IMAGE)
            async with DockerDriver(host=daemon.host, secrets_dir=tmp_path / "secrets") as driver:
                await restart_under(daemon, driver, tmp_path / "state")


async def restart_under(daemon: OwnDaemon, driver: DockerDriver, path: Path) -> None:
    async with ContainerPool((CODER,), FIXED, state_dir=path, driver=driver) as pool:
        pool.scale("coder", 3)
        await pool.warm(count=3)
        before = {each["containerId"] for each in pool.containers()}
        found: list[TaskExecution] = []
        async with anyio.create_task_group() as group:

            async def hold() -> None:
                found.append(await pool.execute("coder", ("/bin/sh", "-c", "echo up; exec sleep 600"), on_output=begun))

            up = anyio.Event()

            def begun(stream: str, data: bytes) -> None:
                up.set()

            group.start_soon(hold)
            await up.wait()
            await pool.warm(count=3)  # full again
            await daemon.restart()
        (held,) = found
        assert held.verdict.kind is VerdictKind.LOST, held.verdict
        assert held.stdout == b"up\n"
        await pool.warm(count=3)
        assert not before & {each["containerId"] for each in pool.containers()}
        again = await pool.execute("coder", ("echo", "again"))
        assert (again.stdout, again.where) == (b"again\n", Where.WARM)
    assert pool.left_behind == []
    listed = await anyio.run_process(["docker", "--host", daemon.host, "ps", "-aq"])
    assert listed.stdout == b""


POOL_PROCESS = """
import sys, anyio
from pathlib import Path
from wavepool import AgentType, ContainerPool, Limits, PoolSettings

async def main():
    coder = AgentType(name="coder", image=sys.argv[2], limits=Limits(memory_bytes=64 << 20))
    settings = PoolSettings(auto_scaling=False)
    async with ContainerPool([coder], settings, state_dir=Path(sys.argv[1]), driver="docker") as pool:
        await pool.warm(count=2)
        print("warm", flush=True)
        await pool.execute("coder", ["/bin/sh", "-c", "echo up; exec sleep 600"],
                           on_output=lambda stream, data: print("up", flush=True))

anyio.run(main)
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
async def test_a_pool_whose_process_is_interrupted_or_killed(world: DockerWorld, tmp_path: Path, sent: int) -> None:
    """After Ctrl-C nothing is left. After a kill the unclaimed end by themselves, and a recovery removes all of it."""
    world.allow(DEADLINE_S)
    world.owner = StateDir(tmp_path).owner()
    command = [sys.executable, "-c", POOL_PROCESS, str(tmp_path), IMAGE]
    async with await anyio.open_process(command, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        told = b""
        while b"up" not in told:
            told += await process.stdout.receive()
        process.send_signal(sent)
        await process.wait()
    owned = ("ps", "-q", "--filter", f"label=wavepool.owner={world.owner}")
    if sent == signal.SIGKILL:
        with anyio.fail_after(60):
            while len((await world.docker(*owned)).split()) > 1:  # noqa: ASYNC110 - only the claimed one goes on
                await anyio.sleep(0.1)
        recover = [str(Path(sys.executable).with_name("wavepool")), "recover", "--grace", "0s"]
        done = await anyio.run_process([*recover, "--state-dir", str(tmp_path)], check=False)
        assert done.returncode == 0, done.stderr.decode()
    else:
        assert StateDir(tmp_path).runs() == []
    assert await world.left_behind() == []
