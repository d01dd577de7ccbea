"""One attempt's output from its driver, from its start to its end; and where its archive goes on if that comes between.

An attempt is archived after its end, and removed then: who reads its output while that happens is cut off, and reads
on in the archive. There the place is known by how much was read, if the bytes before it are those that were read last
(they are not where the engine had dropped the start of a long log, or its follower a part of it); else by where those
bytes stand, if that is one place alone; else it is said that it is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from wavepool.drivers.base import Driver, LogChunk
from wavepool.engine.history.chronicle import AttemptStory
from wavepool.errors import DriverUnavailable, NoSuchAttempt
from wavepool.monitoring.logs.archive import place_after, read_part
from wavepool.monitoring.runs.stories import RunStory

TRIES = 5
"""Readings that may be cut off one after the other, before that is an error."""

PAUSE_S = 0.3

SEEN_BYTES = 4096
"""Of what was read last so much is kept, to find its place again."""
SEEN_LEAST_BYTES = 32
"""Fewer say nothing of a place."""

TAIL_BYTES = 256 * 1024
"""Of output that was there before: what is shown first."""

CUT = "the connection to the engine was cut here: what was written meanwhile may be missing, or come twice"
LOST = "the archive does not tell where this goes on: what comes may have been shown, or some may be missing before it"

Opener = Callable[[str], Awaitable[Driver]]
"""The open driver of a name; it stays open after its use."""


class Basin(Protocol):
    """Takes what comes. Each call may wait; the driver then waits too."""

    async def data(self, piece: bytes) -> None:
        """Bytes as they were written, none empty."""

    async def gap(self, why: str) -> None:
        """Output is missing here, or may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is left to read in the archive, from `offset` on."""

    path: Path
    offset: int


class Tap:
    """The output of an attempt that has a handle, and had no archive when it was looked at.

    Attributes:
        position: how many bytes have come.
        opened: the driver gives it, or has given it.
    """

    def __init__(self, story: RunStory, attempt: AttemptStory, open_driver: Opener) -> None:
        self.position = 0
        self.opened = anyio.Event()
        self._story = story
        self._attempt = attempt
        self._open_driver = open_driver
        self._given: Counter[str] = Counter()
        self._seen = b""
        self._cut_at: datetime | None = None
        self._gaps = False

    async def pour(self, basin: Basin) -> Rest | None:
        """Give all of it to `basin`; what its archive has beyond that, None where it has nothing.

        Where the driver has nothing of it, as one whose attempts are in the containers of a server, its archive is
        waited for.

        Raises:
            NoSuchAttempt, DriverUnavailable: it cannot be read, was not archived, and will not be.
            InfrastructureError: its archive, or the run's journal, cannot be read.
        """
        tries, before = 0, -1
        while True:
            try:
                await self._from_driver(basin)
                return None
            except (NoSuchAttempt, DriverUnavailable) as error:
                await self._story.refresh()
                if self._attempt.log is not None:
                    return await self._in_archive(basin)
                if isinstance(error, NoSuchAttempt):  # as long as somebody works on the run its archive will come
                    if not self._story.live:
                        raise
                    tries = 0
                tries = tries + 1 if self.position == before else 1
                before = self.position
                if tries >= TRIES:
                    raise
                self._cut_at = self._cut_at or datetime.now(UTC)
            await anyio.sleep(PAUSE_S)

    async def _from_driver(self, basin: Basin) -> None:
        """From its start, without what was given; where that had gaps from about the time at which it was cut."""
        assert self._attempt.handle is not None
        driver = await self._open_driver(self._story.driver)
        skip = Counter(self._given)
        since = None
        if self._cut_at is not None and self._gaps:
            since, skip = self._cut_at, Counter()
            await basin.gap(CUT)
        async with driver.logs(self._attempt.handle, since) as chunks:
            self.opened.set()
            async for chunk in chunks:
                await self._take(chunk, skip, basin)
                self._cut_at = None if not skip.total() else self._cut_at

    async def _take(self, chunk: LogChunk, skip: Counter[str], basin: Basin) -> None:
        if chunk.gap:
            self._gaps = True
            if skip.total():  # the start that was given is not there any more
                skip.clear()
                await basin.gap(CUT)
            else:
                await basin.gap(chunk.gap_reason or "output before this is missing: only so much of it is kept")
        skipped = min(skip[chunk.stream], len(chunk.data))
        skip[chunk.stream] -= skipped
        data = chunk.data[skipped:]
        if data:
            self._given[chunk.stream] += len(data)
            self.position += len(data)
            self._seen = data[-SEEN_BYTES:] if len(data) >= SEEN_BYTES else (self._seen + data)[-SEEN_BYTES:]
            await basin.data(data)

    async def _in_archive(self, basin: Basin) -> Rest | None:
        log = self._attempt.log
        assert log is not None
        if log.path is None:
            await basin.gap(log.problem or "nothing of its output was archived")
            return None
        path = self._story.history.files.path / log.path
        offset = await anyio.to_thread.run_sync(self._place_in, path)
        if offset is None:
            await basin.gap(LOST)
            offset = max(0, log.size_bytes - TAIL_BYTES)
        return Rest(path=path, offset=offset)

    def _place_in(self, path: Path) -> int | None:
        if self.position == 0:
            return 0
        start, before, _ = read_part(path, self.position - len(self._seen), len(self._seen))
        if start == self.position - len(self._seen) and before == self._seen:
            return self.position
        return place_after(path, self._seen) if len(self._seen) >= SEEN_LEAST_BYTES else None
