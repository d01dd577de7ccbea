"""The socket of pools in this very process: the real pools, server and client, on the simulated engine."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from wavepool.drivers.base import Handle, LogChunk
from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.engine.control.pools import PoolClient, PoolDriver, PoolServer, Served, ServerGone, TaskOrder, open_client
from wavepool.engine.control.pools import outgoing as bounds
from wavepool.engine.control.pools import server as serving
from wavepool.engine.control.pools.protocol import packed, unpacked
from wavepool.errors import InfrastructureError, InputError, NoSuchAttempt, PoolDrained
from wavepool.model import AgentType, AttemptId, Limits, PoolSettings
from wavepool.statedir import StateDir
from wavepool.units import MIB
from wavepool.wiring import ContainerPool

CODER = AgentType(name="coder", image="simulated:latest", limits=Limits(memory_bytes=64 * MIB, cpus=1.0))
FOREVER = ("sim", "stdout=begun", "duration=100000")
DEADLINE_S = 120.0
pytestmark = pytest.mark.anyio


class Stage:
    """Pools that are served; `heard` is what the server said of its clients."""

    def __init__(self, root: Path) -> None:
        self.place = StateDir(root).server()
        self.heard: list[Served] = []
        self._more = anyio.Event()
        self.world = MemoryWorld()
        self.pool = ContainerPool(
            (CODER,), PoolSettings(size=2, auto_scaling=False), driver=MemoryDriver(self.world), state_dir=root
        )
        self.server = PoolServer(self.pool, self.place.socket, limits_of=lambda name: CODER.limits, heard=self._hear)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[PoolClient]:
        async with open_client(self.place) as client:
            yield client

    def _hear(self, served: Served) -> None:
        self.heard.append(served)
        self._more.set()
        self._more = anyio.Event()

    def kinds(self) -> list[str]:
        return [each.kind for each in self.heard]

    async def until_heard(self, kind: str) -> Served:
        while kind not in self.kinds():
            await self._more.wait()
        return next(each for each in self.heard if each.kind == kind)


@asynccontextmanager
async def served(root: Path) -> AsyncIterator[Stage]:
    stage = Stage(root)
    with anyio.fail_after(DEADLINE_S), stage.place.held():
        async with stage.pool, stage.server.serving():
            yield stage
    assert stage.pool.left_behind == []
    assert stage.world.container_names() == []
    assert all(times == 1 for times in stage.world.executions.values())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """So deep that the path of a socket in it is longer than any address of one may be."""
    return tmp_path.joinpath(*["a-long-name-of-a-directory"] * 8)


class Reader:
    """Keeps what it is told; where it is `blocked`, it does not return before that is set."""

    def __init__(self, blocked: anyio.Event | None = None) -> None:
        self.streams = {"stdout": b"", "stderr": b""}
        self.began = anyio.Event()
        self._blocked = blocked

    async def __call__(self, stream: str, data: bytes) -> None:
        self.streams[stream] += data
        self.began.set()
        if self._blocked is not None:
            await self._blocked.wait()


def order(*command: str, **given: object) -> TaskOrder:
    return TaskOrder(agent_type="coder", command=command, **given)  # type: ignore[arg-type]


async def test_a_task_its_output_and_what_became_of_it(directory: Path) -> None:
    async with served(directory) as stage, stage.client() as client:
        assert stat.S_IMODE(stage.place.socket.stat().st_mode) == 0o600
        await client.warm("coder", 2)
        reader = Reader()
        asked = order(
            "sim", "stdout=a%00%ff", "stderr=oops", "show_env=A", "show_secret=KEY", "show_prompt", "exit=3",
            env={"A": "b"}, secrets={"KEY": b"\xfe"}, prompt="p",
        )  # fmt: skip
        result = await client.run(asked, reader)
        assert reader.streams == {"stdout": b"a\x00\xffb\xfep", "stderr": b"oops"}
        assert (result["verdict"], result["exit_code"], result["where"]) == ("failed", 3, "warm")
        quiet = await client.run(order("sim", "stdout=kept", stream=False), reader)
        assert unpacked(quiet["stdout"]) == b"kept"
        other = await client.run(order("sim", limits={"memory_bytes": 32 * MIB}), reader)
        assert other["where"] in ("resized", "cold")
        assert reader.streams["stdout"] == b"a\x00\xffb\xfep"
        assert stage.kinds() == ["warmed", *["task_started", "task_ended"] * 3]
        assert packed(b"\xfe") not in str(stage.heard)


async def test_the_status_has_what_the_seed_tells_and_who_serves(directory: Path) -> None:
    async with served(directory) as stage, stage.client() as client:
        found = await client.warm("coder", 2)
        assert found["server"]["pid"] == os.getpid()
        (pool,) = found["pools"]
        assert [(each["agentType"], each["isInUse"]) for each in pool["containers"]] == [("coder", False)] * 2
        assert set(pool["containers"][0]) == {
            "containerId", "agentType", "createdAt", "lastUsed", "execCount", "isHealthy", "isInUse",
            "networkId", "volumeId",
        }  # fmt: skip
        assert set(found["metrics"]) == {
            "totalContainers", "activeContainers", "idleContainers", "containersByType", "poolUtilization",
            "averageExecutionTime", "containerHitRate", "healthyContainers", "unhealthyContainers",
        }  # fmt: skip
        assert (await client.scale("coder", 3))["pools"][0]["target"] == 3
        drained = (await client.drain())["pools"][0]
        assert (drained["drained"], drained["containers"], drained["idle"]) == (True, [], 0)
        with pytest.raises(PoolDrained, match="is drained, and takes no more tasks"):
            await client.run(order("sim"), Reader())
        again = (await client.warm("coder", 1))["pools"][0]
        assert (again["drained"], again["idle"] >= 1) == (False, True)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (order("sim", env={"LD_PRELOAD": "x"}), "env: got 'LD_PRELOAD', expected another variable"),
        (order("sim", env={"a\x00": "x"}), "env: got"),
        (order("sim", secrets={"../KEY": b""}), r"secrets: got '../KEY', expected the name of a secret"),
        (order("sim", directory="here"), "directory: got 'here'"),
        (TaskOrder(agent_type="Coder", command=("sim",)), "Coder"),
        (order("a\x00b"), "text without NUL"),
    ],
)
async def test_what_cannot_be_is_refused_and_the_connection_goes_on(
    directory: Path, asked: TaskOrder, words: str
) -> None:
    async with served(directory) as stage, stage.client() as client:
        with pytest.raises(InputError, match=words):
            await client.run(asked, Reader())
        with pytest.raises(InputError, match="expected 1 to 10"):
            await client.scale("coder", -1)
        for misspelt in (client.scale("codre", 1), client.warm("codre"), client.drain("codre")):
            with pytest.raises(InputError, match=r"got agent type 'codre', expected .* coder") as caught:
                await misspelt
            assert caught.value.code == "unknown_agent_type"
        assert (await client.run(order("sim"), Reader()))["verdict"] == "success"
        assert sum(stage.world.executions.values()) == 1


async def test_a_stop_is_heard_and_the_result_says_so(directory: Path) -> None:
    async with served(directory) as stage, stage.client() as client:
        reader, results = Reader(), []

        async def run() -> None:
            results.append(await client.run(order(*FOREVER), reader))

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await reader.began.wait()
            await client.stop()
        assert [each["verdict"] for each in results] == ["cancelled"]
        assert (await client.status())["server"]["tasks"] == 0


async def test_who_hangs_up_has_its_task_stopped(directory: Path) -> None:
    async with served(directory) as stage:
        reader = Reader()

        async def run_and_go() -> None:
            async with stage.client() as client, anyio.create_task_group() as group:
                group.start_soon(client.run, order(*FOREVER), reader)
                await reader.began.wait()
                group.cancel_scope.cancel()

        await run_and_go()
        ended = await stage.until_heard("task_ended")
        assert ended.details == {"verdict": "cancelled", "why": "its client went away"}
        async with stage.client() as client:
            while (await client.status())["metrics"]["activeContainers"]:
                pass


async def test_who_does_not_read_holds_up_nobody_and_is_told_what_is_cut(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds.Outgoing.__init__, "__defaults__", (64 * 1024,))
    async with served(directory) as stage, stage.client() as slow, stage.client() as other:
        go_on, results = anyio.Event(), []
        reader = Reader(go_on)
        flood = [f"stdout={'x' * 60_000}", f"stderr={'y' * 60_000}"] * 20

        async def run_slowly() -> None:
            results.append(await slow.run(order("sim", "stdout=first", *flood), reader))

        async with anyio.create_task_group() as group:
            group.start_soon(run_slowly)
            ended = await stage.until_heard("task_ended")
            assert ended.details["verdict"] == "success"
            assert (await other.run(order("sim"), Reader()))["verdict"] == "success"
            assert results == []
            go_on.set()
        told = sum(len(data) for data in reader.streams.values())
        assert reader.streams["stdout"].startswith(b"first")
        assert sum(slow.cut.values()) > 0
        assert told + sum(slow.cut.values()) == 5 + 40 * 60_000
        assert slow.cut == results[0]["cut_bytes"]


async def test_at_its_end_the_server_waits_for_tasks_and_takes_no_more(directory: Path) -> None:
    async with served(directory) as stage, stage.client() as client, stage.client() as late:
        reader, results = Reader(), []

        async def run() -> None:
            results.append(await client.run(order("sim", "stdout=begun", "duration=2"), reader))

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await reader.began.wait()
            group.start_soon(stage.server.drained)
            while not (await late.status())["server"]["ending"]:
                pass
            with pytest.raises(InfrastructureError, match="the server is ending, and takes nothing new"):
                await late.run(order("sim"), Reader())
            with pytest.raises(InfrastructureError, match="the server is ending"):
                await late.warm("coder")
        assert [each["verdict"] for each in results] == ["success"]


async def test_a_second_ctrl_c_stops_what_runs_and_the_clients_hear_it(directory: Path) -> None:
    async with served(directory) as stage, stage.client() as client:
        reader, results = Reader(), []

        async def run() -> None:
            results.append(await client.run(order(*FOREVER), reader))

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await reader.began.wait()
            stage.server.stop_all()
            await stage.server.drained()
        assert [each["verdict"] for each in results] == ["cancelled"]


async def test_a_server_that_ends_in_the_middle_says_so(directory: Path) -> None:
    said: list[str] = []

    async def run(client: PoolClient, reader: Reader) -> None:
        try:
            await client.run(order(*FOREVER), reader)
        except InfrastructureError as error:
            said.append(error.message)

    stage = Stage(directory)
    with stage.place.held():
        async with stage.pool, anyio.create_task_group() as group, stage.server.serving():
            reader = Reader()
            opened = open_client(stage.place)
            group.start_soon(run, await opened.__aenter__(), reader)
            await reader.began.wait()
        await opened.__aexit__(None, None, None)
    assert said == ["the server has gone in the middle"], "a refusal would say that nothing had begun"


async def test_nonsense_and_crowds_are_let_go(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "CLIENTS_MAX", 2)
    monkeypatch.setattr(serving, "REQUEST_BYTES", 1000)
    async with served(directory) as stage, stage.client() as client:
        for nonsense in (b"hello\n", b"[]\n", b'{"op": "stop"}\n', b"x" * 5000):
            assert b'"ok":false' in await _said_to(stage, nonsense)
        async with stage.client() as second:
            await second.status()
            async with stage.client() as third:
                with pytest.raises(InfrastructureError, match="2 others are connected already"):
                    await third.status()
        assert (await client.run(order("sim"), Reader()))["verdict"] == "success"


async def test_a_connection_that_breaks_is_told(directory: Path) -> None:
    place = StateDir(directory).server()
    with place.held(), socket.socket(socket.AF_UNIX) as listening:
        descriptor = os.open(directory, os.O_PATH)
        listening.bind(f"/proc/self/fd/{descriptor}/{place.socket.name}")
        listening.listen()
        async with open_client(place) as client:
            connected, _ = listening.accept()
            connected.close()
            with pytest.raises(ServerGone):
                await client.status()
        os.close(descriptor)


async def _said_to(stage: Stage, data: bytes) -> bytes:
    """What the server says to that before it hangs up."""

    def say() -> bytes:
        directory = os.open(stage.place.socket.parent, os.O_PATH)
        try:
            with socket.socket(socket.AF_UNIX) as calling:
                calling.settimeout(DEADLINE_S)
                calling.connect(f"/proc/self/fd/{directory}/{stage.place.socket.name}")
                calling.sendall(data)
                said = b""
                while piece := calling.recv(65536):
                    said += piece
                return said
        finally:
            os.close(directory)

    return await anyio.to_thread.run_sync(say)


async def test_a_named_task_is_looked_at_by_others_while_it_runs(directory: Path) -> None:
    """What it uses and writes, from any connection: by its name alone, from its start to its end."""
    handle = Handle(driver="pool:coder", id="r-a", name="r-a", attempt=AttemptId("a", 1))
    told: list[LogChunk] = []
    async with served(directory) as stage, stage.client() as client, stage.client() as other:
        await client.warm("coder", 2)
        assert await other.usage(["r-a"]) == {}
        with pytest.raises(NoSuchAttempt, match="no task of that name"):
            [chunk async for chunk in other.output("r-a", follow=True)]
        reader = Reader()
        async with PoolDriver(stage.place, "coder") as driver, anyio.create_task_group() as group:
            asked = order("sim", "stdout=begun%0a", "stderr=oops%0a", "duration=100000", name="r-a")
            group.start_soon(client.run, asked, reader)
            await reader.began.wait()
            (usage,) = (await other.usage(["r-a", "nobody"])).values()
            assert usage.memory_limit_bytes == 64 * MIB
            (again,) = (await driver.usage([handle])).values()
            assert (again.memory_bytes, again.cpu_s >= usage.cpu_s) == (usage.memory_bytes, True)
            so_far = [chunk async for chunk in other.output("r-a", follow=False)]
            assert b"".join(chunk.data for chunk in so_far) == b"begun\noops\n"
            followed = anyio.Event()

            async def follow() -> None:
                async with driver.logs(handle) as chunks:
                    async for chunk in chunks:
                        told.append(chunk)
                        followed.set()

            group.start_soon(follow)
            await followed.wait()
            async with driver.logs(handle) as chunks:  # one who looks away again: nothing of it is stopped
                assert (await anext(aiter(chunks))).data
            assert stage.server.tasks == 1
            await client.stop()
        assert [(chunk.stream, chunk.data) for chunk in told] == [("stdout", b"begun\n"), ("stderr", b"oops\n")]
        with pytest.raises(NoSuchAttempt):
            [chunk async for chunk in other.output("r-a", follow=True)]
        assert (await other.status())["server"]["tasks"] == 0, "the connection goes on after a refusal"
    async with PoolDriver(stage.place, "coder") as driver:
        assert await driver.usage([handle]) == {}
        with pytest.raises(NoSuchAttempt, match="no `wavepool serve` works"):
            async with driver.logs(handle) as chunks:
                await anext(aiter(chunks))
