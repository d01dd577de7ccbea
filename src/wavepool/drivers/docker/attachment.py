"""A connection to a container's standard streams: what is written is its stdin, what is read is its output.

Docker makes a plain byte stream out of the connection of an attach call, and frames the output in it. This module
knows aiohttp only by what `DockerApi.attach` hands it: a transport to write to, and the pieces that an `Inbox` is fed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol, Self

import anyio
import anyio.lowlevel

from wavepool.errors import DriverUnavailable

INBOX_MAX_BYTES = 256 * 1024
"""What may wait unread; beyond it the daemon is not read from, and soon the task waits with its output."""
FRAMES_PER_TURN = 64
"""After so many the event loop gets a turn, also while more of them are there."""
_HEADER_BYTES = 8
_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}


class Frame(NamedTuple):
    """A piece of output; `stream` is ``stdout`` or ``stderr``, `data` is never empty."""

    stream: str
    data: bytes


class Wire(Protocol):
    """The transport below an attachment, as asyncio has it."""

    def write(self, data: bytes) -> None: ...
    def is_closing(self) -> bool: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Inbox:
    """Bytes that have arrived and wait to be read; aiohttp takes it for the parser of an upgraded connection.

    Attributes:
        ended: nothing more will come.
    """

    def __init__(self, wire: Wire) -> None:
        self.ended = False
        self._wire = wire
        self._held = False
        self._waiting = bytearray()
        self._arrived = anyio.Event()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Called by aiohttp with what came; the answer says that there was no protocol error."""
        self._waiting += data
        if len(self._waiting) > INBOX_MAX_BYTES and not self._held and not self._wire.is_closing():
            self._held = True
            self._wire.pause_reading()
        self._arrived.set()
        return False, b""

    def feed_eof(self) -> None:
        """Called by aiohttp where the connection ended, cut or not."""
        self.ended = True
        self._arrived.set()

    def set_exception(self, *_: object) -> None:
        """Called by aiohttp where the connection broke."""
        self.feed_eof()

    async def take(self) -> bytes:
        """All that has arrived, as soon as that is at least one byte; empty at the end."""
        while not self._waiting and not self.ended:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        taken, self._waiting = bytes(self._waiting), bytearray()
        if self._held and not self._wire.is_closing():
            self._wire.resume_reading()
        self._held = False
        return taken


class Attachment:
    """One attached connection; iterate over it for the `Frame`s of the output, with one reader at a time.

    It ends with the container (where output was asked for) and with the engine. The iteration ends where the daemon
    ends the stream, which looks alike whether the container ended or the daemon went away: ask for the container.

    Args:
        wire: to write to.
        inbox: is fed with what comes.
        drained: waits until what was written has room again; raises OSError where the connection is lost.
        release: closes the connection, after what was written is sent.
    """

    def __init__(
        self, wire: Wire, inbox: Inbox, *, drained: Callable[[], Awaitable[None]], release: Callable[[], None]
    ) -> None:
        self._wire = wire
        self._inbox = inbox
        self._drained = drained
        self._release = release
        self._piece = b""
        self._position = 0
        self._frames = 0
        self._stream = ""
        self._left = 0

    @property
    def is_open(self) -> bool:
        """False once either side has closed it, as far as that was heard. Asks nobody."""
        return not self._inbox.ended and not self._wire.is_closing()

    def write(self, data: bytes) -> None:
        """Send to its stdin, now: what the socket does not take at once is sent as soon as it does.

        Raises:
            DriverUnavailable: the connection is closed, and nothing was sent.
        """
        if not self.is_open:
            raise DriverUnavailable("the connection to the container's stdin is closed")
        self._wire.write(data)

    async def drain(self) -> None:
        """Wait until little of what was written is still here. Raises DriverUnavailable where the connection is cut."""
        try:
            await self._drained()
        except OSError as error:
            raise DriverUnavailable(f"the connection to the container's stdin was cut: {error}") from error

    def close(self) -> None:
        """Send what was written and close: with StdinOnce the container reads the end of its stdin. May be repeated."""
        self._release()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        while True:
            if self._frames == FRAMES_PER_TURN:
                self._frames = 0
                await anyio.lowlevel.checkpoint()
            frame = self._cut_off()
            if frame is not None:
                self._frames += 1
                return frame
            piece = await self._inbox.take()
            if not piece:
                raise StopAsyncIteration
            self._piece, self._position = self._piece[self._position :] + piece, 0

    def _cut_off(self) -> Frame | None:
        """The next piece of a frame out of what has come; a long frame comes in pieces. None where there is none yet.

        Raises:
            DriverUnavailable: this is no framed output.
        """
        while self._left == 0:
            head = self._piece[self._position : self._position + _HEADER_BYTES]
            if len(head) < _HEADER_BYTES:
                return None
            if head[0] not in _STREAMS or any(head[1:4]):
                raise DriverUnavailable(f"the attached output is not framed: {head!r}")
            self._stream, self._left = _STREAMS[head[0]], int.from_bytes(head[4:], "big")
            self._position += _HEADER_BYTES
        data = self._piece[self._position : self._position + self._left]
        self._position += len(data)
        self._left -= len(data)
        return Frame(self._stream, data) if data else None
