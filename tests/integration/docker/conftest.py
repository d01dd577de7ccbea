"""A world of its own for each test on the real engine, and the proof that nothing of it is left behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.abc import SocketStream

from wavepool import labels
from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.docker import DockerDriver
from wavepool.testing.daemon_proxy import engine_socket
from wavepool.testing.driver_harness import DriverHarness, ShellCommands

CLI_DEADLINE_S = 120


class DockerWorld(DriverHarness):
    """Specs and drivers under a fresh owner; `docker` asks the engine past the driver."""

    image = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
    patience_s = 180.0

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.commands = ShellCommands(unexecutable="/workspace/not-executable", enforces_memory=True)
        self.secrets_dir = Path(f"/dev/shm/wavepool-test-{self.owner}")
        self.bound = anyio.CancelScope()

    def allow(self, seconds: float) -> None:
        """Give the whole test this long from now."""
        self.bound.deadline = anyio.current_time() + seconds

    def driver(self, **settings: Any) -> DockerDriver:
        return DockerDriver(secrets_dir=self.secrets_dir, **settings)

    def sh(self, script: str, **changes: Any) -> AttemptSpec:
        """A spec that runs a shell script; `changes` replace fields of it."""
        memory_bytes = changes.pop("memory_bytes", 32 << 20)
        return replace(self.spec(("/bin/sh", "-c", script), memory_bytes=memory_bytes), **changes)

    async def docker(self, *arguments: str) -> str:
        """Output of a docker command; AssertionError where it fails."""
        result = await anyio.to_thread.run_sync(
            lambda: subprocess.run(
                ["docker", *arguments], capture_output=True, text=True, timeout=CLI_DEADLINE_S, check=False
            )
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    async def inspect(self, container: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(await self.docker("inspect", container))
        return found[0]

    async def left_behind(self) -> list[str]:
        """What carries one of our owners' labels, or lies in the secrets directory."""
        found: list[str] = []
        for owner in (self.owner, self.other_owner):
            wanted = ["--filter", f"label={labels.OWNER}={owner}"]
            found += (await self.docker("ps", "-aq", *wanted)).split()
            found += (await self.docker("network", "ls", "-q", *wanted)).split()
            found += (await self.docker("image", "ls", "-q", *wanted)).split()
        if self.secrets_dir.exists():
            found += [str(path) for path in self.secrets_dir.iterdir()]
        return found


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[DockerWorld]:
    made = DockerWorld(tmp_path)
    with anyio.fail_after(made.patience_s + 60) as bound:
        async with made:
            made.bound = bound
            yield made
        assert await made.left_behind() == []
    if made.secrets_dir.exists():
        made.secrets_dir.rmdir()


class Proxy:
    """A socket in front of the engine's, which can lose connections and answers as a network or a crash would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.host = f"unix://{path}"
        self.cut_answers_to: list[bytes] = []
        """Each entry cuts one connection: at the answer to the next request whose first line holds it."""
        self.connections = 0
        self.asked: list[bytes] = []
        """First lines of what was asked through it."""
        self._up = True
        self._open: set[anyio.CancelScope] = set()

    def down(self) -> None:
        """Cut every connection, and take no new ones."""
        self._up = False
        self.path.unlink(missing_ok=True)
        for scope in list(self._open):
            scope.cancel()

    def up(self) -> None:
        self._up = True

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        listener = await anyio.create_unix_listener(self.path)
        task_status.started()
        async with listener:
            await listener.serve(self._handle)

    async def _handle(self, client: SocketStream) -> None:
        if not self._up:
            await client.aclose()
            return
        self.connections += 1
        with anyio.CancelScope() as scope:
            self._open.add(scope)
            try:
                async with (
                    client,
                    await anyio.connect_unix(engine_socket()) as engine,
                    anyio.create_task_group() as group,
                ):
                    cut = anyio.Event()
                    group.start_soon(self._forward, client, engine, cut, group.cancel_scope)
                    await self._answer(engine, client, cut)
                    group.cancel_scope.cancel()
            finally:
                self._open.discard(scope)

    async def _forward(
        self, client: SocketStream, engine: SocketStream, cut: anyio.Event, scope: anyio.CancelScope
    ) -> None:
        try:
            async for data in client:
                first_line = data.split(b"\r\n", 1)[0]
                self.asked.append(first_line)
                wanted = next((each for each in self.cut_answers_to if each in first_line), None)
                if wanted is not None:
                    self.cut_answers_to.remove(wanted)
                    cut.set()
                await engine.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        scope.cancel()

    async def _answer(self, engine: SocketStream, client: SocketStream, cut: anyio.Event) -> None:
        try:
            async for data in engine:
                if cut.is_set():
                    return
                await client.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    made = Proxy(tmp_path / "proxy.sock")
    async with anyio.create_task_group() as group:
        await group.start(made.serve)
        yield made
        group.cancel_scope.cancel()
