"""Reading the framed output of an attempt, from its start or a time, to its end.

The frames are the supervisor's (`supervisor.log.Log`): stream (1 byte, bit 7 for a gap), 3 zero bytes, length (4),
microseconds since the epoch (8), data.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import anyio
from anyio import to_thread
from anyio.streams.memory import MemoryObjectSendStream

from wavepool.drivers.base import LogChunk

HEADER = struct.Struct(">B3xIQ")
GAP = 0x80
STREAMS = {1: "stdout", 2: "stderr"}
FRAME_MAX_BYTES = 1 << 20
"""Far above the 64 KiB that a supervisor reads at once: what claims more is not a frame."""
READ_BYTES = 256 * 1024
POLL_MIN_S, POLL_MAX_S = 0.02, 0.2


class FrameReader:
    """Reads whole frames as they arrive; `close` it.

    `since` skips what was written before; the file need not exist yet. It is held open from when it was found: an
    attempt is removed as soon as its output was archived, and whoever reads it then must get its end all the same.
    """

    def __init__(self, path: Path, since: datetime | None = None) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._since_us = 0 if since is None else round(since.timestamp() * 1_000_000)
        self._offset = 0
        self._rest = b""
        self._broken = False

    def read(self) -> list[LogChunk]:
        """What has arrived since the last read, at most about 256 KiB; empty if nothing has."""
        if self._broken or not self.found():
            return []
        assert self._descriptor is not None
        fresh = os.pread(self._descriptor, READ_BYTES, self._offset)
        self._offset += len(fresh)
        self._rest += fresh
        return self._frames() if fresh else []

    def at_end(self) -> bool:
        """True if all that is in the file has been read."""
        if self._broken or not self.found():
            return True
        assert self._descriptor is not None
        return os.fstat(self._descriptor).st_size <= self._offset

    def found(self) -> bool:
        """Whether the file is there, or was when it was looked for last."""
        if self._descriptor is None:
            with contextlib.suppress(FileNotFoundError):
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        return self._descriptor is not None

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _frames(self) -> list[LogChunk]:
        chunks, start = [], 0
        while len(self._rest) - start >= HEADER.size:
            kind, length, at_us = HEADER.unpack_from(self._rest, start)
            stream = STREAMS.get(kind & ~GAP)
            if stream is None or length > FRAME_MAX_BYTES:  # the task can reach its own log, and wrote into it
                self._broken = True
                break
            end = start + HEADER.size + length
            if end > len(self._rest):
                break
            if length and at_us >= self._since_us:
                data = self._rest[start + HEADER.size : end]
                chunks.append(LogChunk(stream=stream, data=data, gap=bool(kind & GAP)))
            start = end
        self._rest = self._rest[start:]
        return chunks


async def send_frames(
    send: MemoryObjectSendStream[LogChunk], *, reader: FrameReader, has_ended: Callable[[], bool]
) -> None:
    """Send every chunk until `has_ended` and the file is read. `has_ended` blocks shortly and runs in a thread."""
    pause_s = POLL_MIN_S
    ended = False
    while True:
        chunks = reader.read()
        for chunk in chunks:
            await send.send(chunk)
        if not chunks and ended and reader.at_end():
            return
        if chunks:
            pause_s = POLL_MIN_S
        elif not ended:
            await anyio.sleep(pause_s)
            pause_s = min(POLL_MAX_S, pause_s * 1.5)
        ended = ended or await to_thread.run_sync(has_ended)
