"""A journal in memory: for tests and simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from wavepool.core.facts import Stamped
from wavepool.errors import JournalError
from wavepool.journal.base import Journal


class MemoryJournal(Journal):
    """Keeps facts as long as the object lives. It may be entered again after it was left, as after a crash.

    `append` never waits, so a simulation pays no trip through the event loop for it.
    """

    def __init__(self) -> None:
        self._facts: list[Stamped] = []
        self._open = False

    async def __aenter__(self) -> Self:
        if self._open:
            raise JournalError("(memory)", "the journal is open already")
        self._open = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._open = False

    async def append(self, facts: Sequence[Stamped], *, durable: bool = False) -> None:
        if not self._open:
            raise JournalError("(memory)", "the journal is not open")
        self._facts.extend(facts)

    def replay(self) -> Iterator[Stamped]:
        return iter(tuple(self._facts))

    async def sync(self) -> None:
        await self.append(())
