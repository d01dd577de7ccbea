"""The side of whoever uses the pools of a `wavepool serve`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio

from wavepool.drivers.base import LogChunk, Usage
from wavepool.engine.control.pools.protocol import (
    STOP,
    PoolRequest,
    TaskOrder,
    raise_refusal,
    unpacked,
)
from wavepool.engine.control.protocol import REPLY_BYTES, LineSocket, ProtocolError
from wavepool.engine.control.sockets import connected_to
from wavepool.errors import InfrastructureError
from wavepool.statedir import ServerPlace

PATIENCE_S = 30.0
"""How long a server may take until it listens, or, where many call at once, until it lets one more in."""

_PAUSE_S = 0.02

Reader = Callable[[str, bytes], Awaitable[None]]
"""Told each piece of a task's output: its stream, ``stdout`` or ``stderr``, and the bytes."""


class NoServer(InfrastructureError):
    """No process holds the pools of the state directory.

    Attributes:
        died: who served it last and was killed at it; empty where none was.
    """

    code = "no_pool_server"

    def __init__(self, place: ServerPlace) -> None:
        self.died = place.holder()
        start = "Start one: `wavepool serve`, in another terminal, with the same --state-dir."
        if self.died:
            start += (
                f"\nThe last one, process {self.died}, was killed: `wavepool recover` removes what it left (parked "
                "containers have ended by themselves)."
            )
        super().__init__(f"no `wavepool serve` works with {place.state_dir}, and it is what holds pools", advice=start)


class ServerGone(InfrastructureError):
    """The server, or the connection to it, ended in the middle."""

    code = "server_gone"


class PoolClient:
    """A connection to a server; made by `open_client`. One request at a time.

    Each method raises InputError or InfrastructureError where the server refuses, ServerGone where it goes away.
    """

    def __init__(self, connected: LineSocket) -> None:
        self._connected = connected
        self._sending = anyio.Lock()  # a stop may come while a large order is still being written
        self.cut: dict[str, int] = {}
        """stream -> bytes of the newest task's output that were left out, as they were not read in time."""

    async def status(self) -> Mapping[str, Any]:
        """The server, the seed's metrics, and each type's pool with its containers."""
        return await self._ask(PoolRequest(op="status").encode())

    async def warm(self, agent_type: str, count: int | None = None) -> Mapping[str, Any]:
        """Return the status as soon as so many (its minimum) are idle."""
        return await self._ask(PoolRequest(op="warm", agent_type=agent_type, count=count).encode())

    async def scale(self, agent_type: str, count: int) -> Mapping[str, Any]:
        """Keep so many from now on; returns the status at once."""
        return await self._ask(PoolRequest(op="scale", agent_type=agent_type, count=count).encode())

    async def drain(self, agent_type: str | None = None) -> Mapping[str, Any]:
        """No more tasks of this type (of all); returns the status when none runs and no container is left."""
        return await self._ask(PoolRequest(op="drain", agent_type=agent_type).encode())

    async def run(self, order: TaskOrder, read: Reader) -> Mapping[str, Any]:
        """Run one task to its verdict, as `answers.result_of` tells it. Hanging up stops it.

        Args:
            read: told each piece of output, and awaited: what it does not take in time is left out.
        """
        self.cut = {}
        await self._send(order.encode())
        while True:
            reply = await self._reply()
            if "result" in reply:
                found: Mapping[str, Any] = reply["result"]
                return found
            if "cut" in reply:
                self.cut[reply["of"]] = self.cut.get(reply["of"], 0) + int(reply["cut"])
                continue
            for stream, data in reply.items():
                await read(stream, unpacked(data))

    async def usage(self, names: Collection[str]) -> dict[str, Usage]:
        """One reading of each of these tasks that runs now. Raises DriverUnavailable where the engine is away."""
        reply = await self._ask(PoolRequest(op="usage", names=tuple(names)).encode())
        return {name: Usage(**found) for name, found in reply["usage"].items()}

    async def output(self, name: str, *, follow: bool) -> AsyncIterator[LogChunk]:
        """What a task has written, from its start; with `follow` to its end. Hanging up ends it.

        Raises:
            NoSuchAttempt: none of that name runs.
            DriverUnavailable: the engine is away.
        """
        await self._send(PoolRequest(op="logs", names=(name,), follow=follow).encode())
        while "ok" not in (reply := await self._reply()):
            if "gap" in reply:
                yield LogChunk(stream=reply["of"], data=b"", gap=True, gap_reason=reply["gap"])
                continue
            for stream, data in reply.items():
                yield LogChunk(stream=stream, data=unpacked(data))

    async def stop(self) -> None:
        """End the task that runs: its process gets SIGTERM, and SIGKILL after its grace. `run` then returns."""
        await self._send(STOP)

    # -- inside --

    async def _ask(self, request: bytes) -> Mapping[str, Any]:
        await self._send(request)
        return await self._reply()

    async def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # one that closed has said why before
            async with self._sending:
                await self._connected.send(data)

    async def _reply(self) -> dict[str, Any]:
        try:
            data = await self._connected.receive(REPLY_BYTES)
        except (OSError, ProtocolError) as error:
            raise ServerGone(f"the connection to the server broke: {error}") from error
        if data is None:
            raise ServerGone("the server has gone in the middle")
        reply: dict[str, Any] = json.loads(data)
        if reply.get("ok") is False:
            raise_refusal(reply, InfrastructureError)
        return reply


@asynccontextmanager
async def open_client(place: ServerPlace, *, patience_s: float = PATIENCE_S) -> AsyncIterator[PoolClient]:
    """A connection to the server of a state directory; one that is just starting is waited for.

    Raises:
        NoServer: there is none.
        InfrastructureError: it does not listen within `patience_s`, or we may not connect.
    """
    connected: LineSocket | None = None
    with anyio.move_on_after(patience_s):
        while connected is None:
            live = place.is_live()  # first: one that ends in between is not live when it is asked about again
            connected = connected_to(place.socket) if live else None
            if not live:
                raise NoServer(place)
            if connected is None:
                await anyio.sleep(_PAUSE_S)
    if connected is None:
        raise InfrastructureError(
            f"process {place.holder()} serves {place.state_dir}, and does not listen on {place.socket}",
            advice="See what it says. Ctrl-C or SIGTERM ends it.",
        )
    try:
        yield PoolClient(connected)
    finally:
        connected.close()
