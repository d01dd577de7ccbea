"""What a journal held already, kept back from the screen until it is sure that the run is gone on with."""

from __future__ import annotations

from collections.abc import Sequence

from wavepool.core.facts import Stamped
from wavepool.engine.listener import Listener, tell, tell_agent
from wavepool.model import AgentEvent, AttemptId

BOUND = 20_000
"""Facts that are kept back; those of a few thousand tasks. A million would be 2 GB, or a second pass of 20 s."""


class Withheld(Listener):
    """Tells `listeners` nothing until `release`, so that a refusal is not lost below a long history.

    With more than `bound` facts it releases them by itself: then the history comes first, whatever follows.
    """

    def __init__(self, listeners: Sequence[Listener], *, bound: int = BOUND) -> None:
        self._listeners = listeners
        self._bound = bound
        self._waiting: list[Stamped] = []
        self._released = False

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        if self._released:
            tell(self._listeners, facts)
            return
        self._waiting += facts
        if len(self._waiting) > self._bound:
            self.release()

    def release(self) -> None:
        """Tell what was kept back, and from now on everything at once. Safe to repeat."""
        waiting, self._waiting, self._released = self._waiting, [], True
        if waiting:
            tell(self._listeners, waiting)

    def on_agent(self, attempt: AttemptId, event: AgentEvent) -> None:
        tell_agent(self._listeners, attempt, event)
