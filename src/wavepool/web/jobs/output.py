"""What a process writes, as far as it is kept: the newest of it, and where that begins."""

from __future__ import annotations


class Output:
    """One stream. Positions count from its first byte, whatever is kept.

    At its bound the oldest goes.

    Args:
        limit_bytes: kept at most.

    Attributes:
        total: bytes that came altogether.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept = bytearray()
        self.total = 0

    @property
    def start(self) -> int:
        """Position of the first byte that is kept."""
        return self.total - len(self._kept)

    @property
    def kept(self) -> int:
        """How many bytes are kept."""
        return len(self._kept)

    def add(self, data: bytes) -> None:
        """More of it."""
        self._kept += data
        self.total += len(data)
        if len(self._kept) > self._limit:
            del self._kept[: len(self._kept) - self._limit]

    def read(self, offset: int, limit: int) -> tuple[int, bytes]:
        """(position of what follows, at most `limit` bytes from `offset` on); a later position where those are gone.

        A negative `offset` counts from the end.
        """
        begin = max(self.start, min(self.total, self.total + offset if offset < 0 else offset))
        at = begin - self.start
        return begin, bytes(self._kept[at : at + limit])

    def whole(self) -> bytes | None:
        """All of it; None where some is gone."""
        return bytes(self._kept) if not self.start else None
