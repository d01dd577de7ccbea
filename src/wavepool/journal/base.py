"""The journal contract. One contract suite (``tests/contract/test_journals.py``) runs against every implementation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from wavepool.core.facts import Stamped


class Journal(ABC):
    """The facts of one run, in the order of the `append` calls.

    Use it as an async context manager: entering creates or checks what holds the facts, leaving writes what was
    handed over and closes. The caller holds the run's lock; one task or several may append.
    """

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            JournalError: it cannot be created or read, lacks facts that were committed, is of a newer release, belongs
                to another run, or is open in another process.
        """

    @abstractmethod
    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None: ...

    @abstractmethod
    async def append(self, facts: Sequence[Stamped], *, durable: bool = False) -> None:
        """Add these facts, all or none. Returns when they are committed: they survive the end of this process.

        With `durable` they, and all before them, also survive a loss of power. Calls that were made in some order
        are committed in that order. A cancelled caller changes nothing: what was handed over is
        written. (Only one that is cancelled while it waits for room, behind a thousand others, hands nothing over.)

        Raises:
            JournalError: they could not be written. Every later append fails too, and nothing was overwritten.
        """

    @abstractmethod
    def replay(self) -> Iterator[Stamped]:
        """All committed facts from the first on. Blocks; meant for the time before the run begins.

        Raises:
            JournalError: while iterating, at the first damage. What was yielded before it is true.
        """

    @abstractmethod
    async def sync(self) -> None:
        """Make durable what is committed.

        Raises:
            JournalError: as `append`.
        """

    @property
    def pending(self) -> int:
        """Appends and syncs that were handed over and not answered yet (a virtual clock must not pass them by)."""
        return 0
