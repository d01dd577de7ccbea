"""Whoever wants to see a run as it happens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from wavepool.core.facts import Stamped


class Listener(ABC):
    """Is told the facts after they are committed, in their order, each exactly once."""

    @abstractmethod
    def on_facts(self, facts: Sequence[Stamped]) -> None:
        """Take them in. Called on the engine's loop: must not block, and what it raises is logged, not obeyed."""
