"""The output of one attempt, kept in one file."""

from __future__ import annotations

import os
import time

STDOUT, STDERR, GAP = 1, 2, 0x80


def now_us() -> int:
    return time.time_ns() // 1000


class Log:
    """One file of frames: stream (1 byte), 3 zero bytes, length (4), microseconds since the epoch (8), then data.

    Holds at most `cap_bytes` from the start. What comes after is read and dropped, but for the last `tail_bytes`,
    which are appended at the end; the first frame of that tail carries the GAP bit.
    """

    def __init__(self, path: str, cap_bytes: int, tail_bytes: int) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._left = cap_bytes
        self._tail_bytes = tail_bytes
        self._tail: list[tuple[int, int, bytes]] = []
        self._tail_held = 0
        self._full = False
        self.dropped_bytes = 0

    def add(self, stream: int, data: bytes) -> None:
        self._full = self._full or len(data) + 16 > self._left
        if self._full:
            self._keep_for_the_end(stream, data)
        else:
            self._left -= len(data) + 16
            self._write(stream, now_us(), data)

    def _keep_for_the_end(self, stream: int, data: bytes) -> None:
        self._tail.append((stream, now_us(), data))
        self._tail_held += len(data) + 16
        while self._tail_held > self._tail_bytes and self._tail:
            oldest_stream, at_us, oldest = self._tail.pop(0)
            excess = min(self._tail_held - self._tail_bytes, len(oldest))
            self.dropped_bytes += excess
            self._tail_held -= excess
            if excess < len(oldest):
                self._tail.insert(0, (oldest_stream, at_us, oldest[excess:]))
                return
            self._tail_held -= 16

    def _write(self, stream: int, at_us: int, data: bytes) -> None:
        header = bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + at_us.to_bytes(8, "big")
        try:
            written = os.writev(self._fd, (header, data))
        except OSError:  # the disk is full: the task must go on, and whoever reads must learn of the gap
            written = 0
        if written < len(header) + len(data):
            self._full = True
            self.dropped_bytes += len(data)
            if written:  # no half frame: a reader would wait for its rest
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)

    def close(self) -> None:
        gap = GAP if self.dropped_bytes else 0
        for stream, at_us, data in self._tail:
            self._write(stream | gap, at_us, data)
            gap = 0
        os.close(self._fd)
