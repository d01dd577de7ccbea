"""Output on its way into a file: so much of it as is kept, in order, on the disk."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread

from wavepool.drivers.base import LogChunk
from wavepool.engine.attempts.streams import StreamRuns
from wavepool.units import human_size

LOG_SLACK_BYTES = 128 * 1024
"""Beyond a log's limit: the tail that the process driver keeps, and the last piece of the engine's."""


def limited_words(log_limit_bytes: int) -> str:
    """The problem of a log that was cut at its limit, as its record tells it."""
    return f"of its output only {human_size(log_limit_bytes)} are kept (log_limit)"


def most_bytes(log_limit_bytes: int) -> int:
    """The most that a log may take on the disk: all that a driver keeps of it, which is a quarter above the limit."""
    return log_limit_bytes + log_limit_bytes // 4 + LOG_SLACK_BYTES


class Saved(NamedTuple):
    """What was written, whether any of the output is or may be missing, and why (empty: too much of it)."""

    size_bytes: int
    gap: bool
    gap_reason: str = ""


async def save_chunks(
    chunks: AsyncIterator[LogChunk],
    path: Path,
    *,
    limit_bytes: int | None = None,
    also: Callable[[LogChunk], Awaitable[None]] | None = None,
) -> Saved:
    """Write the output to `path` (mode 0600) and to the disk, beside it which of it was stderr (`streams`).

    Args:
        limit_bytes: what comes after so much is left out; None for no limit.
        also: is given each piece, those beyond the limit too.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    size_bytes, gap, reason = 0, False, ""
    runs = StreamRuns()
    try:
        async for chunk in chunks:
            gap, reason = gap or chunk.gap, reason or chunk.gap_reason
            if also is not None:
                await also(chunk)
            view = memoryview(chunk.data)
            if limit_bytes is not None and size_bytes + len(view) > limit_bytes:
                gap = True
                view = view[: limit_bytes - size_bytes]
            runs.note(chunk.stream, len(view))
            while view:
                written = os.write(descriptor, view)
                size_bytes += written
                view = view[written:]
        if size_bytes:
            await anyio.to_thread.run_sync(os.fdatasync, descriptor)
        runs.save(path)
    finally:
        os.close(descriptor)
    return Saved(size_bytes, gap, reason)
