"""All of an attempt's output over HTTP, in constant memory; of a file any part (RFC 9110, 14)."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any
from urllib.parse import quote

import anyio
import anyio.to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from wavepool.errors import InfrastructureError
from wavepool.monitoring.logs.archive import opened, read_part

PIECE_BYTES = 1 << 20
"""That is in memory of a file at once."""

NONE: Mapping[str, str] = MappingProxyType({})

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

Output = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens what is there of the output of an attempt that runs: pieces with `data`."""


def part_of(header: str | None, size: int) -> tuple[int, int] | None:
    """The bytes that a Range header asks for, as (first, behind the last); None for all: there is none, it is of
    another kind, or asks for several parts, which need not be heeded.

    Raises:
        ValueError: there is no such part.
    """
    found = _RANGE.fullmatch((header or "").replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        wanted = int(found[2])
        if wanted == 0 or size == 0:
            raise ValueError(header)
        return max(0, size - wanted), size
    first = int(found[1])
    stop = int(found[2]) + 1 if found[2] else size
    if found[2] and stop <= first:
        return None
    if first >= size:
        raise ValueError(header)
    return first, min(stop, size)


def attachment(name: str) -> dict[str, str]:
    """Headers of bytes that are saved as a file, and never shown as anything else."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return {"content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"}


class FileDownload(Response):
    """A file, or the part of it that was asked for.

    Args:
        threads: where it is read.
        headers: beside its own.

    Raises (while it is called, before anything was sent):
        InfrastructureError: it cannot be read.
    """

    media_type = "application/octet-stream"

    def __init__(
        self, path: Path, name: str, *, threads: anyio.CapacityLimiter, headers: Mapping[str, str] = NONE
    ) -> None:
        self._path = path
        self._threads = threads
        super().__init__(headers={**attachment(name), "accept-ranges": "bytes", **headers})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        status = await anyio.to_thread.run_sync(_status, self._path, limiter=self._threads)
        asked = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        tag = f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
        self.headers["etag"] = tag
        first, stop = 0, status.st_size
        try:
            part = part_of(asked.get("range"), status.st_size) if asked.get("if-range", tag) == tag else None
        except ValueError:
            self.status_code, stop = 416, 0
            self.headers["content-range"] = f"bytes */{status.st_size}"
        else:
            if part is not None:
                first, stop = part
                self.status_code = 206
                self.headers["content-range"] = f"bytes {first}-{stop - 1}/{status.st_size}"
        self.headers["content-length"] = str(stop - first)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        last = stop if scope["method"] != "HEAD" else first
        await _while_there(receive, partial(self._give, first, last, send))

    async def _give(self, first: int, stop: int, send: Send) -> None:
        """A file that became shorter meanwhile ends the connection before its time: who reads sees that it was cut."""
        while first < stop:
            read = partial(read_part, self._path, first, min(PIECE_BYTES, stop - first))
            _, data, _ = await anyio.to_thread.run_sync(read, limiter=self._threads)
            if not data:
                raise InfrastructureError(f"the log {self._path.name} became shorter while it was read")
            first += len(data)
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class HeldDownload(Response):
    """All of a file that has no name any more. It is closed when it was sent, or nobody reads on."""

    def __init__(self, file: IO[bytes], name: str, *, media_type: str) -> None:
        self._file = file
        super().__init__(headers=attachment(name), media_type=media_type)
        self.headers["content-length"] = str(os.fstat(file.fileno()).st_size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        with self._file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await _while_there(receive, partial(self._give, 0 if scope["method"] != "HEAD" else None, send))

    async def _give(self, offset: int | None, send: Send) -> None:
        while offset is not None:
            data = await anyio.to_thread.run_sync(os.pread, self._file.fileno(), PIECE_BYTES, offset)
            if not data:
                break
            offset += len(data)
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class LiveDownload(Response):
    """What there is of the output of an attempt that runs; its length is not known before its end."""

    media_type = "application/octet-stream"

    def __init__(self, opened: Output, name: str) -> None:
        self._opened = opened
        super().__init__(headers={**attachment(name), "accept-ranges": "none"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. What it raises before the first byte is answered as any error."""
        async with self._opened() as chunks:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await _while_there(receive, partial(self._give, chunks, send))

    async def _give(self, chunks: AsyncIterator[Any], send: Send) -> None:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk.data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _while_there(receive: Receive, give: Callable[[], Awaitable[None]]) -> None:
    """Let it give, until the client has gone: what is sent to who has gone is taken at once, and all would be read.

    Raises:
        What `give` does.
    """

    async def until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        group.cancel_scope.cancel()

    failed: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(until_gone)
        try:
            await give()
        except Exception as error:  # raised below by itself, not in a group
            failed = error
        group.cancel_scope.cancel()
    if failed is not None:
        raise failed


def _status(path: Path) -> os.stat_result:
    with opened(path) as descriptor:
        return os.fstat(descriptor)
