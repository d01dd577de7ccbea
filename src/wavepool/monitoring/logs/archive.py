"""Output that was archived: a file of any size, of which a part is in memory. All of it blocks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wavepool.errors import InfrastructureError
from wavepool.monitoring.logs.scanning import Scanner
from wavepool.statedir import open_regular

READ_BYTES = 1 << 20
_NOWHERE = -1


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of the file; links are not followed, and a FIFO is not waited for.

    Raises:
        InfrastructureError: it cannot be opened or, in the block, read; it is no regular file.
    """
    try:
        descriptor = open_regular(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InfrastructureError(
            f"the log {path.name} cannot be read: {error.strerror or error}",
            advice="It may have been removed by hand, or by `wavepool prune`.",
        ) from error


def size_of_log(path: Path) -> int:
    """Its bytes. Raises InfrastructureError."""
    with opened(path) as descriptor:
        return os.fstat(descriptor).st_size


def read_part(path: Path, offset: int, limit: int) -> tuple[int, bytes, int]:
    """At most `limit` bytes from `offset` on (before the end, where it is negative): their offset, they, the size."""
    with opened(path) as descriptor:
        size = os.fstat(descriptor).st_size
        begin = max(0, size + offset) if offset < 0 else min(offset, size)
        return begin, os.pread(descriptor, limit, begin), size


def search_file(path: Path, scanner: Scanner, *, offset: int, bound_s: float) -> tuple[bool, int, int]:
    """Let `scanner` look through it from `offset` on, for so long at most.

    Returns:
        Whether its end was reached, how many bytes were read, its size.
    """
    until_s = time.monotonic() + bound_s
    with opened(path) as descriptor:
        size = os.fstat(descriptor).st_size
        at, ended = min(offset, size), False
        while not scanner.full and time.monotonic() < until_s:
            data = os.pread(descriptor, READ_BYTES, at)
            if not data:
                ended = True
                break
            scanner.feed(data)
            at += len(data)
    scanner.finish(at_end=ended)
    return ended and not scanner.full, at - min(offset, size), size


def place_after(path: Path, seen: bytes) -> int | None:
    """The position behind the only place where `seen` stands; None where it stands nowhere, or in several."""
    found = _NOWHERE
    keep = len(seen) - 1
    with opened(path) as descriptor:
        at, kept = 0, b""
        while data := os.pread(descriptor, READ_BYTES, at):
            block, block_at = kept + data, at - len(kept)
            begin = 0
            while (hit := block.find(seen, begin)) >= 0:
                if found != _NOWHERE:
                    return None
                found, begin = block_at + hit, hit + 1
            at += len(data)
            kept = block[-keep:] if keep else b""
    return None if found == _NOWHERE else found + len(seen)
