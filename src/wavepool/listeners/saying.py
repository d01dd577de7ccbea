"""What an agent says while it works, on one line."""

from __future__ import annotations

from wavepool.core.spending import Spent
from wavepool.listeners.wording import count, printable
from wavepool.model import AgentEvent, AgentEventKind
from wavepool.units import format_usd

WORDS_MAX = 160

TOLD_ALWAYS = frozenset({AgentEventKind.ERROR})
"""Where lines are printed, these are even without --verbose. Of a rate limit its account's pause tells."""

_BEFORE = {
    AgentEventKind.STARTED: "started",
    AgentEventKind.TEXT: "said",
    AgentEventKind.TOOL: "uses",
    AgentEventKind.RETRY: "tries again",
    AgentEventKind.RATE_LIMITED: "is rate limited",
    AgentEventKind.ERROR: "met an error",
    AgentEventKind.RESULT: "is done",
    AgentEventKind.UNREADABLE: "wrote what cannot be read",
}


def saying_words(event: AgentEvent) -> str:
    """``uses Bash``, ``said I will look at the tests first``."""
    text = printable(" ".join(event.text.split()), WORDS_MAX)
    before = _BEFORE[event.kind]
    return f"{before} {text}" if text and event.kind in _PLAIN else f"{before}: {text}" if text else before


_PLAIN = frozenset({AgentEventKind.TEXT, AgentEventKind.TOOL})


def used_words(event: AgentEvent) -> str:
    """``3 turns, 12,000 tokens, $0.12`` of one attempt."""
    cost = "" if event.cost_usd is None else f", {format_usd(event.cost_usd)}"
    return f"{count(event.turns, 'turn')}, {event.tokens.total:,} tokens{cost}"


def spent_words(spent: Spent) -> str:
    """``12,000 tokens, $0.12`` of all agents; no cost where none was told."""
    return f"{spent.tokens:,} tokens" + (f", {format_usd(spent.cost_usd)}" if spent.cost_usd else "")
