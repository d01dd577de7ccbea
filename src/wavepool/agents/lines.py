"""Bytes in pieces of any size, cut into lines, with a bound on what is held of one."""

from __future__ import annotations

from dataclasses import dataclass

from wavepool.agents.base import LINE_MAX_BYTES

TAIL_MAX_BYTES = 1024 * 1024
"""What is kept of a line that is too long: its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line, without its line end.

    Attributes:
        data: all of it; where it was too long, its last `TAIL_MAX_BYTES`.
        size_bytes: how long it was.
    """

    data: bytes
    size_bytes: int

    @property
    def whole(self) -> bool:
        """False where `data` is only the end of it."""
        return len(self.data) == self.size_bytes


class LineSplitter:
    """Gives whole lines, the same ones however the bytes were split. Holds at most one line of `max_bytes`."""

    def __init__(self, max_bytes: int = LINE_MAX_BYTES, tail_bytes: int = TAIL_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._tail_bytes = min(tail_bytes, max_bytes)
        self._held = bytearray()
        self._size_bytes = 0

    def feed(self, data: bytes) -> list[Line]:
        """The lines that end in this piece."""
        *ended, rest = data.split(b"\n")
        lines = []
        for piece in ended:
            self._hold(piece)
            lines.append(self._take())
        self._hold(rest)
        return lines

    def finish(self) -> Line | None:
        """What is left after the last line end; None for nothing. It is given once."""
        return self._take() if self._size_bytes else None

    def _hold(self, piece: bytes) -> None:
        self._size_bytes += len(piece)
        if self._size_bytes <= self._max_bytes:
            self._held += piece
            return
        self._held += piece[-self._tail_bytes :]
        del self._held[: -self._tail_bytes]

    def _take(self) -> Line:
        line = Line(data=bytes(self._held), size_bytes=self._size_bytes)
        self._held = bytearray()
        self._size_bytes = 0
        return line
