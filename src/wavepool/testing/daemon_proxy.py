"""A Unix socket in front of a Docker daemon's, through which real calls go and at which they may fail.

It harms nobody else: whoever speaks to the daemon's own socket sees nothing of it. Each request has a connection of
its own to the daemon; answers pass unchanged unless a rule of `daemon_faults` hits them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import anyio
from anyio.abc import SocketStream, TaskGroup, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream

from wavepool.testing.daemon_faults import EventMangler, Fault, FaultKind, Faults, StreamCut

SOCKET = "/var/run/docker.sock"
HEAD_MAX_BYTES = 1 << 16
LINE_MAX_BYTES = 1 << 20
_GONE = (
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.DelimiterNotFound,
    OSError,
)


def engine_socket() -> str:
    """Path of the socket of the engine on this host: that of DOCKER_HOST, else the usual one."""
    scheme, _, path = os.environ.get("DOCKER_HOST", "").partition("://")
    return path if scheme == "unix" else SOCKET


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The head of one HTTP request: `call` is ``METHOD /path?query``, percent-decoded."""

    raw: bytes
    call: str
    body_bytes: int
    upgrades: bool

    @classmethod
    def parse(cls, head: bytes) -> Request:
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        return cls(
            raw=head,
            call=f"{method} {unquote(target)}",
            body_bytes=int(length[1]) if length else 0,
            upgrades=re.search(rb"(?im)^upgrade:", head) is not None,
        )

    def forwarded(self) -> bytes:
        """As the daemon gets it: it is to close the connection after its answer, unless that becomes a raw stream."""
        if self.upgrades:
            return self.raw + b"\r\n\r\n"
        kept = re.sub(rb"(?im)^connection:.*\r\n", b"", self.raw + b"\r\n")
        return kept + b"Connection: close\r\n\r\n"


class DaemonProxy:
    """One socket, its connections, and what was asked through it. Make it by `proxied`.

    Attributes:
        host: its address.
        faults: the rules; may be changed at any time.
        calls: each call so far, as ``METHOD /path?query``.
    """

    def __init__(self, path: Path, upstream: str, faults: Faults, group: TaskGroup) -> None:
        self.host = f"unix://{path}"
        self.faults = faults
        self.calls: list[str] = []
        self._path = path
        self._upstream = upstream
        self._group = group
        self._listening: anyio.CancelScope | None = None
        self._open: set[anyio.CancelScope] = set()

    def down(self) -> None:
        """The socket goes, and every connection with it."""
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
        self._path.unlink(missing_ok=True)
        self.cut()

    def cut(self) -> None:
        """Cut every connection; new ones are taken."""
        for scope in list(self._open):
            scope.cancel()

    async def up(self) -> None:
        """The socket is back."""
        if self._listening is None:
            await self._group.start(self._listen)

    async def _listen(self, *, task_status: TaskStatus[None]) -> None:
        listener = await anyio.create_unix_listener(self._path)
        with anyio.CancelScope() as scope:
            self._listening = scope
            task_status.started()
            async with listener:
                await listener.serve(self._serve, self._group)

    async def _serve(self, client: SocketStream) -> None:
        with anyio.CancelScope() as scope:
            self._open.add(scope)
            try:
                async with client:
                    await self._answer(client)
            except* _GONE:
                pass
            finally:
                self._open.discard(scope)

    async def _answer(self, client: SocketStream) -> None:
        reader = BufferedByteReceiveStream(client)
        request = Request.parse(await reader.receive_until(b"\r\n\r\n", HEAD_MAX_BYTES))
        self.calls.append(request.call)
        fault = self.faults.on_call(request.call)
        if fault is not None and fault.kind is FaultKind.REFUSE:
            await reader.receive_exactly(request.body_bytes) if request.body_bytes else None
            await client.send(_refusal(fault))
            return
        if fault is not None and fault.kind is FaultKind.HANG:
            await anyio.sleep(fault.hold_s)
            return
        async with await anyio.connect_unix(self._upstream) as engine, anyio.create_task_group() as group:
            await engine.send(request.forwarded())
            group.start_soon(_pass_on, reader, engine, request.upgrades, group.cancel_scope)
            await self._relay(request, fault, engine, client)
            group.cancel_scope.cancel()

    async def _relay(self, request: Request, fault: Fault | None, engine: SocketStream, client: SocketStream) -> None:
        """The daemon's answer to the client, or what a fault leaves of it."""
        if fault is not None:
            whole = b"".join([piece async for piece in engine])
            await anyio.sleep(fault.hold_s)
            if fault.kind is FaultKind.CUT:
                await client.send(whole[: len(whole) // 2])
        elif re.match(r"GET (/v[\d.]+)?/events\b", request.call):
            await self._relay_events(BufferedByteReceiveStream(engine), client)
        else:
            async for piece in engine:
                await client.send(piece)

    async def _relay_events(self, engine: BufferedByteReceiveStream, client: SocketStream) -> None:
        head = await engine.receive_until(b"\r\n\r\n", HEAD_MAX_BYTES)
        await client.send(head + b"\r\n\r\n")
        if b"chunked" not in head.lower():
            return
        mangler, rest = EventMangler(self.faults), b""
        async for data in _chunks(engine):
            *lines, rest = (rest + data).split(b"\n")
            try:
                for hold_s, text in mangler.mangle(line for line in lines if line.strip()):
                    await anyio.sleep(hold_s)
                    await client.send(_chunk(text))
            except StreamCut:
                return
        await client.send(b"0\r\n\r\n")


@asynccontextmanager
async def proxied(path: Path, *faults: Fault, upstream: str | None = None, seed: int = 0) -> AsyncIterator[DaemonProxy]:
    """A proxy at `path` (at most 107 bytes long) in front of the socket `upstream`, up for as long as the context.

    None for `upstream` is the `engine_socket`.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        proxy = DaemonProxy(path, upstream or engine_socket(), Faults(*faults, seed=seed), group)
        await proxy.up()
        try:
            yield proxy
        except Exception as error:  # kept out of the group, which would wrap it
            failure = error
        finally:
            proxy.down()
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _pass_on(
    reader: BufferedByteReceiveStream, engine: SocketStream, upgrades: bool, scope: anyio.CancelScope
) -> None:
    """What the client sends on: a body, or (of a hijacked connection) its input. Its going ends the call."""
    try:
        async for piece in reader:
            await engine.send(piece)
        if upgrades:
            await engine.send_eof()
            return
    except _GONE:
        pass
    scope.cancel()


async def _chunks(stream: BufferedByteReceiveStream) -> AsyncIterator[bytes]:
    """The chunks of an HTTP 1.1 body until its last. Raises EndOfStream where it is cut."""
    while True:
        size = int((await stream.receive_until(b"\r\n", LINE_MAX_BYTES)).split(b";")[0], 16)
        data = await stream.receive_exactly(size) if size else b""
        await stream.receive_exactly(2)
        if not size:
            return
        yield data


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _refusal(fault: Fault) -> bytes:
    body = json.dumps({"message": fault.words}).encode()
    head = f"HTTP/1.1 {fault.status} Injected\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
