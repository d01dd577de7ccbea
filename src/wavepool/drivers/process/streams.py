"""A stream that a task of its own fills while its context is open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from wavepool.errors import DriverUnavailable, WavepoolError

Item = TypeVar("Item")


class FilledStream(AsyncIterator[Item], Generic[Item]):
    """What the reader sees. Ends when the filling task has ended, with that task's error if it had one."""

    def __init__(self, receive: MemoryObjectReceiveStream[Item]) -> None:
        self._receive = receive
        self.error: WavepoolError | None = None

    async def __anext__(self) -> Item:
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            if self.error is not None:
                raise self.error from self.error.__cause__
            raise StopAsyncIteration from None


@asynccontextmanager
async def filled_by(
    fill: Callable[[MemoryObjectSendStream[Item]], Awaitable[None]], *, buffer: int
) -> AsyncIterator[FilledStream[Item]]:
    """Run `fill` beside the body; it waits while `buffer` items are unread, and is cancelled with the context.

    An error of the body comes out as it is, not in a group. A WavepoolError of `fill` reaches the reader, an OSError of
    it as DriverUnavailable.
    """
    send, receive = anyio.create_memory_object_stream[Item](buffer)
    stream = FilledStream(receive)
    caught: Exception | None = None

    async def filling() -> None:
        with send:
            try:
                await fill(send)
            except WavepoolError as error:
                stream.error = error
            except OSError as error:
                stream.error = DriverUnavailable(f"the attempts' directory cannot be read: {error}")
                stream.error.__cause__ = error

    with receive:
        async with anyio.create_task_group() as group:
            group.start_soon(filling)
            try:
                yield stream
            except Exception as error:  # out of the group's reach: it would wrap it
                caught = error
            finally:
                group.cancel_scope.cancel()
    if caught is not None:
        raise caught
