"""Whoever wants to see a run as it happens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import structlog

from wavepool.core.facts import Stamped
from wavepool.model import AgentEvent, AttemptId

_log = structlog.get_logger(__name__)


class Listener(ABC):
    """Is told the facts after they are committed, in their order, each exactly once."""

    @abstractmethod
    def on_facts(self, facts: Sequence[Stamped]) -> None:
        """Take them in. Called on the engine's loop: must not block, and what it raises is logged, not obeyed."""

    def on_agent(self, attempt: AttemptId, event: AgentEvent) -> None:  # noqa: B027 - most listeners do not care
        """A running agent said something. It is no fact: it may be told again after a resume, or not at all.

        Called as `on_facts` is, for one attempt in the order of its output. Does nothing unless it is overridden.
        """


def tell(listeners: Iterable[Listener], stamped: Sequence[Stamped]) -> None:
    """Tell each of them; what one raises is logged, and neither the others nor the run notice."""
    for listener in listeners:
        try:
            listener.on_facts(stamped)
        except Exception:  # a broken screen must never end a run
            _log.exception("listener failed", listener=type(listener).__name__)


def tell_agent(listeners: Iterable[Listener], attempt: AttemptId, event: AgentEvent) -> None:
    """The same for what an agent said."""
    for listener in listeners:
        try:
            listener.on_agent(attempt, event)
        except Exception:
            _log.exception("listener failed", listener=type(listener).__name__)
