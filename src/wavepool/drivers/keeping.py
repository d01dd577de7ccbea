"""Drivers that can keep what an attempt left, and go into it: the power, and what it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from wavepool.model import AttemptId, Handle


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The file system of an attempt, kept after its removal.

    Attributes:
        reference: leads to it, and nothing else.
        size_bytes: what its removal would free, as far as is known.
    """

    reference: str
    run_id: str
    attempt: AttemptId
    size_bytes: int = 0


class SupportsKeeping(ABC):
    """A driver whose attempts have a file system of their own, which can be kept when they are removed."""

    @abstractmethod
    async def keep(self, handle: Handle, reference: str) -> str:
        """Keep what an attempt that has started left behind, as `reference` (`labels.kept_reference`), and return it.

        Mounts (workspace, prompt, secrets) are no part of it. Safe to repeat: what was kept already is returned.

        Raises:
            NoSuchAttempt: nothing of it exists, or it never started.
            KeepError: it cannot be kept.
            Unknown: whether it was is not known.
            DriverUnavailable: the engine cannot be reached.
        """

    @abstractmethod
    async def kept(self, owner: str, run_id: str | None = None) -> tuple[Kept, ...]:
        """All that is kept of this owner, or of one run of his.

        Raises:
            DriverUnavailable: the engine cannot be reached.
        """

    @abstractmethod
    async def discard(self, kept: Kept) -> str:
        """Remove what was kept. An empty text, or why it is still there; what is gone already is no error.

        Raises:
            DriverUnavailable: the engine cannot be reached.
        """
