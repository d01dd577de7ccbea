"""What one task of a pool wrote, no other task can read: neither beside it, nor after it, nor in a reused container."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from pool_traces import LEAVE, LOOK, Traces, found

from wavepool import ContainerPool
from wavepool.engine.pools import TaskExecution, Where
from wavepool.model import AgentType, Limits, PoolSettings
from wavepool.units import MIB

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
CODER, TESTER = "coder", "tester"
DEADLINE_S = 300.0
SHELL = ("/bin/sh", "-c")
TELL_ADDRESS = 'set -- $(ip -4 -o addr show dev eth0); echo "address ${4%/*}"\n'
STAY = "echo stays\nexec sleep 3600\n"
EVERYWHERE = (
    "file /workspace/left-",
    "file /tmp/left-",
    "file /dev/shm/left-",
    "file /tmp/deep/.er/.hidden",
    "file /tmp/with blank/-x",
    "name /dev/mqueue/left-",
    "environ /proc/",
    "cmdline /proc/",
    "descriptor /proc/",
    "port 127.0.0.1",
)
"""What a task that leaves all of it must find of its own, for the search to prove anything."""


def pool_of(root: Path, *, reuse: bool = False) -> ContainerPool:
    settings = PoolSettings(size=1 if reuse else 2, min_size=0, max_size=8, auto_scaling=False, reuse=reuse)
    types = [AgentType(name=name, image=IMAGE, limits=Limits(memory_bytes=48 * MIB)) for name in (CODER, TESTER)]
    return ContainerPool(types[:1] if reuse else types, settings, driver="docker", state_dir=root)


class Stayer:
    """A task that has left its traces everywhere, has found them all, and stays until its scope is cancelled.

    Attributes:
        address: in its network.
        traces: what it left.
    """

    def __init__(self, pool: ContainerPool) -> None:
        self.traces = Traces()
        self.address = ""
        self._pool = pool
        self._said = b""
        self._stays = anyio.Event()

    async def run(self) -> None:
        await self._pool.execute(
            CODER,
            (*SHELL, LEAVE + LOOK + TELL_ADDRESS + STAY),
            env=self.traces.leaving(),
            secrets={"KEY": self.traces.token.encode()},
            on_output=self._hear,
        )

    async def stays(self) -> None:
        await self._stays.wait()
        *search, address, _ = self._said.splitlines()
        self.address = address.decode().removeprefix("address ")
        own = found(b"\n".join(search))
        assert_found(own, [*EVERYWHERE, "file /run/secrets/KEY"])

    def _hear(self, stream: str, data: bytes) -> None:
        self._said += data if stream == "stdout" else b""
        if self._said.endswith(b"stays\n"):
            self._stays.set()


def assert_found(own: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [each for each in wanted if not any(line.startswith(each) for line in own)]
    assert not missing, f"the search overlooks {missing}; it has found {own}"


def holders(root: Path, token: str) -> list[Path]:
    """Files and names of the host that have the token."""
    names = [path for path in root.rglob("*") if token in path.name]
    return names + [path for path in root.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]


async def look(pool: ContainerPool, name: str, stayer: Stayer) -> TaskExecution:
    done = await pool.execute(name, (*SHELL, LOOK), env=stayer.traces.looking(stayer.address))
    assert done.succeeded, done
    assert found(done.stdout) == [], f"a task of {name} in {done.container} ({done.where})"
    return done


async def test_no_task_finds_what_another_one_wrote_beside_it_or_before_it(tmp_path: Path) -> None:
    with anyio.fail_after(DEADLINE_S):
        async with pool_of(tmp_path) as pool:
            await pool.warm(count=2)
            async with anyio.create_task_group() as group:
                stayer = Stayer(pool)
                group.start_soon(stayer.run)
                await stayer.stays()
                for name in (CODER, TESTER):  # in its own network, and in that of another type
                    assert (await look(pool, name, stayer)).where is Where.WARM
                group.cancel_scope.cancel()
            await pool.warm(count=2)
            for name in (CODER, CODER, TESTER):
                await look(pool, name, stayer)
    assert pool.left_behind == []
    assert holders(tmp_path, stayer.traces.token) == []


async def test_no_task_finds_what_the_one_before_it_left_in_its_container(tmp_path: Path) -> None:
    with anyio.fail_after(DEADLINE_S):
        async with pool_of(tmp_path, reuse=True) as pool:
            await pool.warm(count=1)
            traces = Traces()
            first = await pool.execute(CODER, (*SHELL, LEAVE + LOOK), env={**traces.leaving(), "OBJECTS": ""})
            assert_found(found(first.stdout), EVERYWHERE)
            second = await pool.execute(CODER, (*SHELL, LOOK), env=traces.looking("127.0.0.1"))
            assert found(second.stdout) == [], second
            assert (first.where, second.where) == (Where.REUSED, Where.REUSED)
            assert first.container == second.container, "it was wiped, and not replaced"
    assert pool.left_behind == []


async def test_a_container_with_kernel_objects_that_cannot_be_wiped_is_replaced(tmp_path: Path) -> None:
    traces = Traces()
    leaving = traces.leaving()
    if not leaving["OBJECTS"]:
        pytest.skip("there is no program for this processor that makes System V objects")
    with anyio.fail_after(DEADLINE_S):
        async with pool_of(tmp_path, reuse=True) as pool:
            await pool.warm(count=1)
            first = await pool.execute(CODER, (*SHELL, LEAVE + LOOK), env=leaving)
            assert_found(found(first.stdout), [*EVERYWHERE, "kernel shm", "kernel sem", "kernel msg"])
            await pool.warm(count=1)
            second = await pool.execute(CODER, (*SHELL, LOOK), env=traces.looking("127.0.0.1"))
            assert found(second.stdout) == [], second
            assert first.container != second.container
