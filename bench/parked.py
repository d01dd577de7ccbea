"""A parked container by the raw Engine API, and the least that a task in one can cost: the floors of warm pools.

Nothing is marked, checked, journaled or retried: a shell is started with an open stdin, one line is written to it, and
its output is read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

import anyio
from anyio.abc import SocketStream

from bench.engine_api import EngineApi

SHELL = ("/bin/sh",)
_READ_BYTES = 65536
_HEADER_BYTES = 8
DEADLINE_S = 60.0


class Attach:
    """One hijacked connection to a container: its stdin, and with `output` its stdout and stderr, in frames."""

    def __init__(self, stream: SocketStream, rest: bytes) -> None:
        self._stream = stream
        self._rest = rest

    @classmethod
    async def open(cls, api: EngineApi, container_id: str, *, output: bool) -> Self:
        """Raises RuntimeError where the daemon does not hand over the connection."""
        stream = await anyio.connect_unix(api.path)
        wanted = "stream=1&stdin=1" + ("&stdout=1&stderr=1" if output else "")
        await stream.send(
            f"POST /v1.41/containers/{container_id}/attach?{wanted} HTTP/1.1\r\nHost: docker\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode()
        )
        reply = b""
        while b"\r\n\r\n" not in reply:
            reply += await stream.receive(_READ_BYTES)
        head, _, rest = reply.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            await stream.aclose()
            raise RuntimeError(f"attach {container_id}: {head.decode('utf-8', 'replace')}")
        return cls(stream, rest)

    async def send(self, data: bytes) -> None:
        await self._stream.send(data)

    async def receive(self) -> bytes:
        """What has arrived, frames and all; at least one byte. Raises anyio.EndOfStream."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        return await self._stream.receive(_READ_BYTES)

    async def receive_until(self, marker: bytes) -> bytes:
        """All that arrives up to the piece with `marker` in it."""
        data = b""
        while marker not in data:
            data += await self.receive()
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()


class RawParked:
    """A container whose shell waits for one command; its output comes through a log follow that is open already."""

    def __init__(self, api: EngineApi, container_id: str, attach: Attach) -> None:
        self.id = container_id
        self._api = api
        self._attach = attach
        self._follow = AsyncExitStack()
        self._output: Any = None

    @classmethod
    async def park(cls, api: EngineApi, name: str, body: Mapping[str, Any]) -> Self:
        """Create it, attach its stdin, start it, and follow its log."""
        created = await api.call("POST", "containers/create", {"name": name}, shell_body(body))
        container_id = str(created["Id"])
        parked = cls(api, container_id, await Attach.open(api, container_id, output=False))
        await api.call("POST", f"containers/{container_id}/start")
        wanted = {"follow": "1", "stdout": "1", "stderr": "1"}
        parked._output = await parked._follow.enter_async_context(api.stream(f"containers/{container_id}/logs", wanted))
        return parked

    async def claim(self, command: str) -> float:
        """Seconds from writing the command until the first byte of its output is here."""
        began_s = time.perf_counter()
        await self._attach.send(f"exec {command}\n".encode())
        with anyio.fail_after(DEADLINE_S):
            assert await self._output.readany()
        return time.perf_counter() - began_s

    async def ended(self) -> None:
        """Return when the follow of its output has come to its end, as it does with the container's."""
        with anyio.fail_after(DEADLINE_S):
            while await self._output.readany():
                pass

    async def remove(self) -> None:
        """Close its connections and delete it."""
        await self._attach.aclose()
        await self._follow.aclose()
        await self._api.delete(self.id)


def shell_body(body: Mapping[str, Any], *, output: bool = False) -> dict[str, Any]:
    """The body of a create call, changed so that the container is a shell that reads from its stdin."""
    return {
        **body,
        "Entrypoint": list(SHELL),
        "Cmd": [],
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": output,
        "AttachStderr": output,
    }
