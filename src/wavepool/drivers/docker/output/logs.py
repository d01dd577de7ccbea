"""A container's output, byte for byte, from the raw multiplexed stream.

Following a container to its end loses its last piece now and then (API 1.41: 12 of 25 with 100 kB at the end, with the
`local` and the `json-file` log driver alike), and one that is rotated meanwhile is followed with holes. What is read
after the end is whole, as far as the engine has kept it, so a followed log is read again then; what had come before is
skipped by its time, and a hole between the two is marked. A hole inside what a follower got while the log was rotated
cannot be seen; what is archived is read after the end, and has none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, Self

import anyio
import anyio.lowlevel

from wavepool.drivers.base import Handle, LogChunk
from wavepool.drivers.docker.api import READ_DEADLINE_S, DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.output.frames import FrameDecoder
from wavepool.drivers.docker.trouble import Refused
from wavepool.errors import DriverUnavailable, InputError, NoSuchAttempt
from wavepool.units import parse_size

UNREAD = "the Docker daemon was away while it ran: what it wrote meanwhile may be missing"

TURN_BYTES = 32 * 1024
"""Of what has come, so much is taken apart in one turn of the loop: of short lines that takes half a millisecond, and
what is read of a long log comes faster than that. Others have their turns between."""

REOPENED = 20
"""How often a log that is followed is taken up again; one that is rotated all the time could go on for ever."""


class Opened(NamedTuple):
    """A log, from its start. It is `followed` while the container runs; `keeps_bytes` as `FrameDecoder` has it."""

    stream: AsyncIterator[bytes]
    followed: bool
    keeps_bytes: int | None


class _NoLog:
    """The stream of a container whose output is kept nowhere."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


class LogStream:
    """Chunks as they come. Raises DriverUnavailable where the stream is cut; what came before it is whole.

    Args:
        name: of the container.
        reopen: opens the log from its start.
        gap: the daemon was away while it ran, and some output may be missing: the first chunk says so.
    """

    def __init__(self, name: str, reopen: Callable[[], Awaitable[Opened]], *, gap: bool = False) -> None:
        self._name = name
        self._reopen = reopen
        self._stream: AsyncIterator[bytes] | None = None
        self._followed = False
        self._opened = 0
        self._frames = FrameDecoder()
        self._unread = memoryview(b"")
        self._ready: deque[LogChunk] = deque()
        self._gap = gap

    @classmethod
    async def of(cls, stream: AsyncIterator[bytes], name: str) -> Self:
        """One whole log that is open already, and not followed; it must have been asked for with times."""

        async def opened() -> Opened:
            return Opened(stream, followed=False, keeps_bytes=None)

        return await cls(name, opened).open()

    async def open(self) -> Self:
        """Open it, or open it again behind what was given. Raises as `reading_logs`."""
        if self._opened > REOPENED:
            raise self._cut(f"it was taken up again {REOPENED} times")
        self._opened += 1
        self._stream, self._followed, keeps_bytes = await self._reopen()
        self._unread = memoryview(b"")
        reads_all_now = self._opened == 1 and not self._followed  # else the start was read when it was written
        self._frames = FrameDecoder(after=self._frames.marks, keeps_bytes=keeps_bytes if reads_all_now else None)
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LogChunk:
        while not self._ready:
            try:
                await self._read_on()
            except StopAsyncIteration:
                if not self._gap:
                    raise
                self._ready.append(LogChunk(stream="stdout", data=b""))
        chunk = self._ready.popleft()
        if self._gap:
            self._gap, chunk = False, replace(chunk, gap=True, gap_reason=UNREAD)
        return chunk

    async def _read_on(self) -> None:
        """Take in the next piece. Raises StopAsyncIteration at the end of all."""
        assert self._stream is not None, "it is read before it is open"
        try:
            if self._unread:
                await anyio.lowlevel.checkpoint()
            else:
                self._unread = memoryview(await self._next_piece(self._stream))
            piece, self._unread = bytes(self._unread[:TURN_BYTES]), self._unread[TURN_BYTES:]
            self._ready.extend(self._frames.feed(piece))
        except ValueError as error:
            raise self._cut(str(error)) from error
        except StopAsyncIteration:
            if self._frames.inside:
                raise self._cut("it ended inside a frame") from None
            if not self._followed:
                raise
            await self.open()
        if self._frames.trouble:
            if not self._followed:
                raise self._cut("the engine cannot read on in it")
            await self.open()

    async def _next_piece(self, stream: AsyncIterator[bytes]) -> bytes:
        """What comes next. Only a log that is followed may be silent: its container is."""
        if self._followed:
            return await anext(stream)
        with anyio.move_on_after(READ_DEADLINE_S):
            return await anext(stream)
        raise self._cut(f"nothing came for {READ_DEADLINE_S:.0f} s")

    def _cut(self, why: str) -> DriverUnavailable:
        return DriverUnavailable(f"the log of {self._name} was cut off: {why}", advice="Read it again from its start.")


@asynccontextmanager
async def reading_logs(
    api: DockerApi, handle: Handle, since: datetime | None, *, follow: bool = True, gap: bool = False
) -> AsyncIterator[LogStream]:
    """Open the log of a container, running or ended; without `follow` one that runs is read as far as it is now.

    With `gap` its first chunk says that the daemon was away while it ran. The log of one that keeps none, as those that
    are reused, is empty.

    Raises:
        NoSuchAttempt: there is no such container.
        DriverUnavailable: the daemon cannot be reached, or refuses to give the log.
    """
    container = handle.id or handle.name
    params = {"stdout": "1", "stderr": "1", "timestamps": "1"}
    if since is not None:
        params["since"] = f"{since.timestamp():.6f}"
    async with AsyncExitStack() as stack:

        async def reopen() -> Opened:
            found = await _found(api, handle)
            if _keeps_none(found):
                return Opened(_NoLog(), followed=False, keeps_bytes=None)
            runs = bool(found["State"]["Running"]) and follow
            try:
                opened = api.stream("GET", f"containers/{container}/logs", {**params, "follow": "1" if runs else "0"})
                return Opened(await stack.enter_async_context(opened), runs, _keeps_bytes(found))
            except Refused as refused:
                raise _refusal(handle, refused) from refused

        yield await LogStream(handle.name, reopen, gap=gap).open()


async def _found(api: DockerApi, handle: Handle) -> Mapping[str, Any]:
    try:
        found = await inspect(api, handle.id or handle.name)
    except Refused as refused:
        raise _refusal(handle, refused) from refused
    if found is None:
        raise _gone(handle)
    return found


def _keeps_bytes(found: Mapping[str, Any]) -> int | None:
    """What its log driver keeps at least: all files but the one that is written to. None for all, or where unknown."""
    options = (found.get("HostConfig") or {}).get("LogConfig", {}).get("Config") or {}
    try:
        size_bytes, files = parse_size(options["max-size"]), int(options["max-file"])
    except (KeyError, ValueError, InputError):
        return None
    return size_bytes * (files - 1) if files > 1 else 0


def _keeps_none(found: Mapping[str, Any]) -> bool:
    return bool((found.get("HostConfig") or {}).get("LogConfig", {}).get("Type") == "none")


def _refusal(handle: Handle, refused: Refused) -> NoSuchAttempt | DriverUnavailable:
    if refused.status == 404:
        return _gone(handle)
    return DriverUnavailable(f"the log of {handle.name} cannot be read: {refused.words}")


def _gone(handle: Handle) -> NoSuchAttempt:
    return NoSuchAttempt(f"there is no container {handle.name} any more")
