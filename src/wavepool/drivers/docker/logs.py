"""A container's output, byte for byte, from the raw multiplexed stream."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Self

from wavepool.drivers.base import Handle, LogChunk
from wavepool.drivers.docker.api import ByteStream, DockerApi
from wavepool.drivers.docker.frames import FrameDecoder
from wavepool.drivers.docker.trouble import Refused
from wavepool.errors import DriverUnavailable, NoSuchAttempt


class LogStream:
    """Chunks as they come. Raises DriverUnavailable where the stream is cut; what came before it is whole."""

    def __init__(self, stream: ByteStream, name: str) -> None:
        self._stream = stream
        self._name = name
        self._frames = FrameDecoder()
        self._ready: deque[LogChunk] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LogChunk:
        while not self._ready:
            try:
                data = await anext(self._stream)
            except StopAsyncIteration:
                if self._frames.inside:
                    raise self._cut("it ended inside a frame") from None
                raise
            try:
                self._ready.extend(self._frames.feed(data))
            except ValueError as error:
                raise self._cut(str(error)) from error
        return self._ready.popleft()

    def _cut(self, why: str) -> DriverUnavailable:
        return DriverUnavailable(f"the log of {self._name} was cut off: {why}", advice="Read it again from its start.")


@asynccontextmanager
async def reading_logs(api: DockerApi, handle: Handle, since: datetime | None) -> AsyncIterator[LogStream]:
    """Open the log of a container, running or ended.

    Raises:
        NoSuchAttempt: there is no such container.
        DriverUnavailable: the daemon cannot be reached, or refuses to give the log.
    """
    params = {"stdout": "1", "stderr": "1", "follow": "1"}
    if since is not None:
        params["since"] = f"{since.timestamp():.6f}"
    opened = False
    try:
        async with api.stream("GET", f"containers/{handle.id or handle.name}/logs", params) as stream:
            opened = True
            yield LogStream(stream, handle.name)
    except Refused as refused:
        if opened:
            raise
        if refused.status == 404:
            raise NoSuchAttempt(f"there is no container {handle.name} any more") from refused
        raise DriverUnavailable(f"the log of {handle.name} cannot be read: {refused.words}") from refused
