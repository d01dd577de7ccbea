"""An agent's output, read while it goes into the archive: the report of an attempt."""

from __future__ import annotations

import anyio.to_thread

from wavepool.agents.base import AgentAdapter, AgentReader
from wavepool.drivers.base import LogChunk
from wavepool.model import AgentEvent, AgentOrder, AgentReport

INLINE_BYTES = 64 * 1024
"""A longer piece of output is parsed in a thread: it would hold up the loop for milliseconds."""


async def feed(reader: AgentReader, data: bytes) -> list[AgentEvent]:
    """What this piece of stdout adds. Pieces of one reader must come one after the other."""
    if len(data) <= INLINE_BYTES:
        return reader.feed(data)
    return await anyio.to_thread.run_sync(reader.feed, data)


class Hearing:
    """Listens to one attempt's output as it is archived: what it means stands on stdout, and stderr explains it."""

    def __init__(self, adapter: AgentAdapter, order: AgentOrder) -> None:
        self._adapter = adapter
        self._order = order
        self._reader = adapter.reader(order)

    def begin(self) -> None:
        """The output comes (again) from its beginning."""
        self._reader = self._adapter.reader(self._order)

    async def take(self, chunk: LogChunk) -> None:
        """One more piece of it."""
        if chunk.stream == "stderr":
            self._reader.feed_stderr(chunk.data)
        elif chunk.data:
            await feed(self._reader, chunk.data)

    def report(self, exit_code: int | None) -> AgentReport:
        """What it amounts to."""
        return self._reader.report(exit_code)
