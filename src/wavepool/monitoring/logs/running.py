"""Parts of the output of an attempt that was not archived yet: its driver gives all of it, from its start."""

from __future__ import annotations

import time

from wavepool.drivers.base import Driver
from wavepool.model import Handle
from wavepool.monitoring.logs.scanning import Scanner

START_MISSING = "only so much of its output is kept: its start is missing"


class Window:
    """Takes output in order and keeps a part of it.

    Args:
        offset: where the part begins; before the end, where it is negative.
        limit: bytes at most.

    Attributes:
        total_bytes: so much came.
    """

    def __init__(self, offset: int, limit: int) -> None:
        self.total_bytes = 0
        self._offset = offset
        self._limit = limit
        self._kept = bytearray()

    def feed(self, data: bytes) -> None:
        """Take more."""
        at = self.total_bytes
        self.total_bytes += len(data)
        if self._offset < 0:
            self._kept += data[self._offset :]
            if len(self._kept) > 2 * -self._offset:
                del self._kept[: self._offset]
            return
        begin = max(0, self._offset - at)
        self._kept += data[begin : begin + self._limit - len(self._kept)]

    def part(self) -> tuple[int, bytes]:
        """Where the part begins, and the part."""
        if self._offset < 0:
            kept = bytes(self._kept[self._offset :])
            return self.total_bytes - len(kept), kept[: self._limit]
        return min(self._offset, self.total_bytes), bytes(self._kept)


async def read_window(driver: Driver, handle: Handle, window: Window) -> str:
    """Fill the window; what is missing of the output, empty for nothing. Raises NoSuchAttempt, DriverUnavailable."""
    problem = ""
    async with driver.logs(handle, follow=False) as chunks:
        async for chunk in chunks:
            if chunk.gap:
                problem = problem or chunk.gap_reason or START_MISSING
            window.feed(chunk.data)
    return problem


async def search_running(
    driver: Driver, handle: Handle, scanner: Scanner, *, offset: int, bound_s: float
) -> tuple[tuple[bool, int, int], str]:
    """As `archive.search_file`, the total being how far it was read; and what is missing, as of a window."""
    until_s: float | None = None
    at, ended, problem = 0, True, ""
    async with driver.logs(handle, follow=False) as chunks:
        async for chunk in chunks:
            if chunk.gap:
                problem = problem or chunk.gap_reason or START_MISSING
            begin = max(0, offset - at)
            at += len(chunk.data)
            if begin < len(chunk.data):
                until_s = until_s or time.monotonic() + bound_s  # what was skipped does not count, or none would go on
                scanner.feed(chunk.data[begin:])
            if scanner.full or (until_s is not None and time.monotonic() > until_s):
                ended = False
                break
    scanner.finish(at_end=ended)
    return (ended, max(0, at - offset), at), problem
