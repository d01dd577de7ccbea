"""What `wavepool show` says of an attempt's agent, and of all agents of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wavepool.engine.history.chronicle import AttemptStory
from wavepool.listeners.agentwords import NOTHING, amount, dollars
from wavepool.listeners.wording import count, printable
from wavepool.model import AgentReport, Changes

WORDS_MAX = 500


def agent_lines(attempt: AttemptStory, run_dir: Path) -> Iterator[tuple[str, str]]:
    """(what it is about, the words) of each line; none where the task has no agent and no workspace of its own."""
    if attempt.agent is not None:
        yield "agent", _used(attempt.agent)
        if attempt.agent.final_text:
            yield "said", printable(" ".join(attempt.agent.final_text.split()), WORDS_MAX)
        for error in attempt.agent.errors:
            yield "error", printable(error, WORDS_MAX)
    if attempt.changes is not None:
        yield "changes", _changed(attempt.changes, run_dir)
        if attempt.changes.problem is not None:
            yield "not back", printable(attempt.changes.problem)


def run_words(agents: Mapping[str, Any]) -> str:
    """``27 turns, 90.1k tokens, $0.42 in 3 attempts`` of a result's `agents`; what nobody told is said."""
    untold = agents["attempts_without_cost"]
    cost = dollars(agents["cost_usd"]) if untold < agents["attempts"] else ""
    words = [count(agents["turns"], "turn"), f"{amount(agents['tokens']['total'])} tokens", *([cost] if cost else [])]
    beside = f" (the cost of {untold} of them was not told)" if untold else ""
    return f"{', '.join(words)} in {count(agents['attempts'], 'attempt')}{beside}"


def _used(report: AgentReport) -> str:
    cost = "cost not told" if report.cost_usd is None else dollars(report.cost_usd)
    words = [f"{report.agent}: {count(report.turns, 'turn')}", f"{amount(report.tokens.total)} tokens", cost]
    words += [f"{count(report.retries, 'repeated call')}"] if report.retries else []
    words += [f"model {printable(report.model, 80)}"] if report.model else []
    words += [f"session {printable(report.session_id, 80)}"] if report.session_id else []
    return ", ".join(words)


def _changed(changes: Changes, run_dir: Path) -> str:
    if not changes.files:
        return "none" if changes.problem is None else NOTHING
    words = f"{count(changes.files, 'file')} +{changes.insertions} -{changes.deletions}"
    if changes.branch is not None:
        words += f" on branch {printable(changes.branch)}"
    return words if changes.patch is None else f"{words}; patch {run_dir / changes.patch}"
