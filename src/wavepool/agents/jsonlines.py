"""Reading an agent that writes one JSON object a line, whatever else is on its stdout."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from wavepool.agents.base import ERRORS_MAX, AgentReader
from wavepool.agents.endings import Problem
from wavepool.agents.jsonvalues import Fields
from wavepool.agents.lines import Line, LineSplitter
from wavepool.agents.wording import last_words, one_line
from wavepool.model import AgentEvent, AgentEventKind, AgentReason, AgentReport, Tokens

UNREADABLE_TOLD = 20
"""So many lines that are no JSON objects are told one by one; the others are only counted."""
_STDERR_MAX_BYTES = 64 * 1024
_LAST_LINES = 10


@dataclass(slots=True, kw_only=True)
class Told:
    """What an attempt's output has told up to now."""

    turns: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    cost_usd: float | None = None
    session_id: str | None = None
    model: str | None = None
    retries: int = 0
    final_text: str = ""
    limited: bool = False
    resets_at: datetime | None = None
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=ERRORS_MAX))

    def error(self, text: str) -> str:
        """Keep what it said of an error, once; the text as it was kept."""
        line = one_line(text)
        if line and line not in self.errors:
            self.errors.append(line)
        return line

    def more_tokens(self, tokens: Tokens) -> None:
        """Take a reading that is at least as great as the last one: what was used stays used."""
        if tokens.total >= self.tokens.total:
            self.tokens = tokens


class JsonLinesReader(AgentReader):
    """Cuts the output into lines and objects; what they mean is for the classes below.

    Holds one line of at most 8 MiB, a few last lines for the words of a problem, and what was told.
    """

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self.told = Told()
        self.objects = 0
        self.unreadable = 0
        self._lines = LineSplitter()
        self._other: deque[str] = deque(maxlen=_LAST_LINES)
        self._stderr = b""

    def feed(self, data: bytes) -> list[AgentEvent]:
        return [event for line in self._lines.feed(data) for event in self._read(line)]

    def feed_stderr(self, data: bytes) -> None:
        self._stderr = (self._stderr + data[-_STDERR_MAX_BYTES:])[-_STDERR_MAX_BYTES:]

    def report(self, exit_code: int | None) -> AgentReport:
        rest = self._lines.finish()
        if rest is not None:
            list(self._read(rest))
        found = self.problem(exit_code)
        problem, known = (found, AgentReason.OTHER) if isinstance(found, str) else (found.words, found.reason)
        told = self.told
        limited = bool(problem) and self.out_of_limit()
        reason = AgentReason.LIMIT if limited else known if problem else None
        return AgentReport(
            agent=self.agent,
            succeeded=not problem,
            problem=one_line(problem, 2 * 500),
            reason=reason,
            rate_limited=limited,
            resets_at=told.resets_at if limited else None,
            turns=told.turns,
            tokens=told.tokens,
            cost_usd=told.cost_usd,
            session_id=told.session_id,
            model=told.model,
            retries=told.retries,
            final_text=last_words(told.final_text),
            errors=tuple(told.errors),
        )

    @abstractmethod
    def read(self, fields: Fields) -> Iterator[AgentEvent]:
        """What one object of the output means."""

    @abstractmethod
    def problem(self, exit_code: int | None) -> str | Problem:
        """Why the work is not done, for a person or for programs too; an empty text where it is."""

    def out_of_limit(self) -> bool:
        """True if the problem is that its account has no more to give."""
        return self.told.limited

    def cut_line(self, tail: bytes) -> Fields | None:
        """What can still be told of a line that was too long, of which this is the end."""
        return None

    def event(
        self,
        kind: AgentEventKind,
        text: str = "",
        *,
        resets_at: datetime | None = None,
        retry_in_s: float | None = None,
    ) -> AgentEvent:
        """An event that carries what was told up to now."""
        told = self.told
        return AgentEvent(
            kind=kind,
            text=one_line(text),
            turns=told.turns,
            tokens=told.tokens,
            cost_usd=told.cost_usd,
            resets_at=resets_at,
            retry_in_s=retry_in_s,
        )

    def last_line(self) -> str:
        """The last line that is no JSON, of stderr before stdout, and one that names an error before others; empty for
        none.
        """
        stderr = [one_line(line) for line in self._stderr.decode("utf-8", "replace").splitlines()[-_LAST_LINES:]]
        spoken = [line for line in (*self._other, *stderr) if line]
        errors = [line for line in spoken if "error" in line.lower()]
        return (errors or spoken or [""])[-1]

    def _read(self, line: Line) -> Iterator[AgentEvent]:
        if not line.whole:
            yield from self._read_cut(line)
            return
        text = line.data.decode("utf-8", "replace")
        if not text.strip():
            return
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        found = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]
        if not found:
            yield from self._not_read(text)
        for fields in found:
            self.objects += 1
            yield from self.read(fields)

    def _read_cut(self, line: Line) -> Iterator[AgentEvent]:
        yield from self._not_read(f"a line of {line.size_bytes} bytes, which is too long to be read")
        fields = self.cut_line(line.data)
        if fields is not None:
            self.objects += 1
            yield from self.read(fields)

    def _not_read(self, text: str) -> Iterator[AgentEvent]:
        self.unreadable += 1
        words = one_line(text)
        self._other.append(words)
        if self.unreadable <= UNREADABLE_TOLD:
            yield self.event(AgentEventKind.UNREADABLE, words)
