"""A container's output, byte for byte, from the raw multiplexed stream.

Following a container to its end loses its last piece now and then (API 1.41: 12 of 25 with 100 kB at the end, with the
`local` and the `json-file` log driver alike). What is read after the end is whole, so a followed log is read again
then, and what had come before is skipped.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Self

from wavepool.drivers.base import Handle, LogChunk
from wavepool.drivers.docker.api import ByteStream, DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.frames import FrameDecoder
from wavepool.drivers.docker.trouble import Refused
from wavepool.errors import DriverUnavailable, NoSuchAttempt


class LogStream:
    """Chunks as they come. Raises DriverUnavailable where the stream is cut; what came before it is whole.

    Args:
        read_again: opens the log once more after the end of a followed one; None where this one is whole.
    """

    def __init__(
        self, stream: ByteStream, name: str, read_again: Callable[[], Awaitable[ByteStream]] | None = None
    ) -> None:
        self._stream = stream
        self._name = name
        self._read_again = read_again
        self._frames = FrameDecoder()
        self._ready: deque[LogChunk] = deque()
        self._given: Counter[str] = Counter()
        self._skip: Counter[str] = Counter()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LogChunk:
        while True:
            while not self._ready:
                await self._read_on()
            chunk = self._unless_given(self._ready.popleft())
            if chunk is not None:
                return chunk

    async def _read_on(self) -> None:
        """Take in the next piece. Raises StopAsyncIteration at the end of all."""
        try:
            self._ready.extend(self._frames.feed(await anext(self._stream)))
        except ValueError as error:
            raise self._cut(str(error)) from error
        except StopAsyncIteration:
            if self._frames.inside:
                raise self._cut("it ended inside a frame") from None
            if self._read_again is None:
                raise
            self._stream, self._read_again = await self._read_again(), None
            self._skip = Counter(self._given)

    def _unless_given(self, chunk: LogChunk) -> LogChunk | None:
        """What of `chunk` is new; None where nothing is."""
        skipped = min(self._skip[chunk.stream], len(chunk.data))
        self._skip[chunk.stream] -= skipped
        data = chunk.data[skipped:]
        self._given[chunk.stream] += len(data)
        return LogChunk(stream=chunk.stream, data=data) if data else None

    def _cut(self, why: str) -> DriverUnavailable:
        return DriverUnavailable(f"the log of {self._name} was cut off: {why}", advice="Read it again from its start.")


@asynccontextmanager
async def reading_logs(
    api: DockerApi, handle: Handle, since: datetime | None, *, follow: bool = True
) -> AsyncIterator[LogStream]:
    """Open the log of a container, running or ended; without `follow` one that runs is read as far as it is now.

    Raises:
        NoSuchAttempt: there is no such container.
        DriverUnavailable: the daemon cannot be reached, or refuses to give the log.
    """
    container = handle.id or handle.name
    params = {"stdout": "1", "stderr": "1"}
    if since is not None:
        params["since"] = f"{since.timestamp():.6f}"
    async with AsyncExitStack() as stack:

        async def read(**more: str) -> ByteStream:
            try:
                return await stack.enter_async_context(
                    api.stream("GET", f"containers/{container}/logs", {**params, **more})
                )
            except Refused as refused:
                raise _refusal(handle, refused) from refused

        if await _is_running(api, handle) and follow:
            yield LogStream(await read(follow="1"), handle.name, read)
        else:
            yield LogStream(await read(), handle.name)


async def _is_running(api: DockerApi, handle: Handle) -> bool:
    try:
        found = await inspect(api, handle.id or handle.name)
    except Refused as refused:
        raise _refusal(handle, refused) from refused
    if found is None:
        raise _gone(handle)
    return bool(found["State"]["Running"])


def _refusal(handle: Handle, refused: Refused) -> NoSuchAttempt | DriverUnavailable:
    if refused.status == 404:
        return _gone(handle)
    return DriverUnavailable(f"the log of {handle.name} cannot be read: {refused.words}")


def _gone(handle: Handle) -> NoSuchAttempt:
    return NoSuchAttempt(f"there is no container {handle.name} any more")
