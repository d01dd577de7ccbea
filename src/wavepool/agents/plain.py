"""Reading a program whose output means nothing to us: its exit code alone counts."""

from __future__ import annotations

from wavepool.agents.base import FINAL_TEXT_MAX_CHARACTERS, AgentReader
from wavepool.agents.wording import last_words
from wavepool.model import AgentEvent, AgentReport

_HELD_BYTES = 4 * FINAL_TEXT_MAX_CHARACTERS
"""Enough for the last words in whatever alphabet."""


class PlainReader(AgentReader):
    """Keeps the end of the output; tells no events, and neither success nor failure."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._tail = b""

    def feed(self, data: bytes) -> list[AgentEvent]:
        self._tail = (self._tail + data[-_HELD_BYTES:])[-_HELD_BYTES:]
        return []

    def report(self, exit_code: int | None) -> AgentReport:
        return AgentReport(agent=self._agent, final_text=last_words(self._tail.decode("utf-8", "replace")))
