"""The output of one task on its way to the client that asked for it: bounded, and never waited for.

What a client does not take in time is left out, counted, and told in its place. Nothing else slows down for it: the
container writes on, and so does every other.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import anyio

from wavepool.engine.control.pools.protocol import packed
from wavepool.engine.control.protocol import line

CLIENT_BYTES = 16 * 1024 * 1024
"""So much may wait for one client."""

ALL_BYTES = 256 * 1024 * 1024
"""So much may wait for all of them."""

PIECE_COST_BYTES = 128
"""What each piece that waits costs beside its bytes: a task may write two at a time."""

PIECE_BYTES = 256 * 1024
"""Output that is sent in one line; what came in small pieces is put together."""


@dataclass(slots=True)
class Room:
    """What all clients of a server share: bytes that wait."""

    bound: int = ALL_BYTES
    taken: int = 0


class Outgoing:
    """An output sink with a reading end.

    Args:
        room: that all clients share.
        bound: bytes that may wait here.

    Attributes:
        cut: stream -> bytes that were left out.
    """

    def __init__(self, room: Room, bound: int = CLIENT_BYTES) -> None:
        self._room = room
        self._bound = bound
        self._waiting: deque[tuple[str, bytes | int]] = deque()  # bytes to be sent, or how many were left out
        self._size = 0
        self._full = False
        self._closed = False
        self._changed = anyio.Event()
        self.cut: dict[str, int] = {}

    def __call__(self, stream: str, data: bytes) -> None:
        """The next piece; never blocks. At the bound it is left out, and so is what follows until half is free."""
        size = len(data) + PIECE_COST_BYTES
        full = self._size + size > (self._bound // 2 if self._full else self._bound)
        self._full = full or self._room.taken + size > self._room.bound
        if self._full:
            self._leave_out(stream, len(data))
        else:
            self._waiting.append((stream, data))
            self._size += size
            self._room.taken += size
        self._wake()

    def close(self) -> None:
        """Nothing will come any more."""
        self._closed = True
        self._wake()

    def drop(self) -> None:
        """Whoever read it has gone."""
        self._room.taken -= self._size
        self._waiting.clear()
        self._size = 0

    async def next_line(self) -> bytes | None:
        """The next line for the client; None after the last one."""
        while not self._waiting:
            if self._closed:
                return None
            await self._changed.wait()
        stream, first = self._waiting.popleft()
        if isinstance(first, int):
            return line({"cut": first, "of": stream})
        pieces, size = [first], len(first)
        while size < PIECE_BYTES and self._waiting and self._waiting[0][0] == stream:
            piece = self._waiting[0][1]
            if isinstance(piece, int):
                break
            self._waiting.popleft()
            pieces.append(piece)
            size += len(piece)
        size += PIECE_COST_BYTES * len(pieces)
        self._size -= size
        self._room.taken -= size
        return line({stream: packed(b"".join(pieces))})

    def _leave_out(self, stream: str, size: int) -> None:
        self.cut[stream] = self.cut.get(stream, 0) + size
        for place in range(len(self._waiting) - 1, max(-1, len(self._waiting) - 3), -1):
            if self._waiting[place][0] == stream and isinstance(self._waiting[place][1], int):
                self._waiting[place] = (stream, int(self._waiting[place][1]) + size)
                return
        self._waiting.append((stream, size))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
