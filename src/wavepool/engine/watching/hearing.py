"""An agent's output, read while it goes into the archive: the report of an attempt."""

from __future__ import annotations

import anyio.to_thread
import structlog

from wavepool.agents.base import AgentAdapter, AgentReader
from wavepool.agents.wording import one_line
from wavepool.drivers.base import LogChunk
from wavepool.model import AgentEvent, AgentEventKind, AgentOrder, AgentReason, AgentReport

INLINE_BYTES = 64 * 1024
"""A longer piece of output is parsed in a thread: it would hold up the loop for milliseconds."""


_log = structlog.get_logger(__name__)


class GuardedReader(AgentReader):
    """An adapter's reader that may come from another package: what it raises ends no run.

    After that it is not asked any more, and the attempt has not succeeded: nobody knows what its agent said.
    """

    def __init__(self, adapter: AgentAdapter, order: AgentOrder) -> None:
        self._agent = adapter.name
        self._problem = ""
        try:
            self._reader: AgentReader | None = adapter.reader(order)
        except Exception as error:  # whatever code of others raises
            self._give_up(error)

    def feed(self, data: bytes) -> list[AgentEvent]:
        if self._reader is None:
            return []
        try:
            return self._reader.feed(data)
        except Exception as error:
            self._give_up(error)
            return [AgentEvent(kind=AgentEventKind.UNREADABLE, text=self._problem)]

    def feed_stderr(self, data: bytes) -> None:
        if self._reader is not None:
            try:
                self._reader.feed_stderr(data)
            except Exception as error:
                self._give_up(error)

    def report(self, exit_code: int | None) -> AgentReport:
        if self._reader is not None:
            try:
                return self._reader.report(exit_code)
            except Exception as error:
                self._give_up(error)
        reason = AgentReason.UNREADABLE
        return AgentReport(agent=self._agent, succeeded=False, problem=self._problem, reason=reason)

    def _give_up(self, error: Exception) -> None:
        _log.exception("an agent's output cannot be read", agent=self._agent)
        self._reader = None
        words = one_line(f"the adapter of {self._agent} failed over its output: {type(error).__name__}: {error}", 400)
        self._problem = f"{words}; repair or replace the package that brings it"


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
        self._reader = GuardedReader(adapter, order)

    def begin(self) -> None:
        """The output comes (again) from its beginning."""
        self._reader = GuardedReader(self._adapter, self._order)

    async def take(self, chunk: LogChunk) -> None:
        """One more piece of it."""
        if chunk.stream == "stderr":
            self._reader.feed_stderr(chunk.data)
        elif chunk.data:
            await feed(self._reader, chunk.data)

    def report(self, exit_code: int | None) -> AgentReport:
        """What it amounts to."""
        return self._reader.report(exit_code)
