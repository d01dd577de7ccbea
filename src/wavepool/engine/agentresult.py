"""What agents used and changed, as results have it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from wavepool.core import facts
from wavepool.model import AgentReport, Changes, Tokens


def agent_json(report: AgentReport | None) -> dict[str, Any] | None:
    """What an attempt's agent said in all; `cost_told` False where its cost is not known, and counts 0."""
    if report is None:
        return None
    return {
        "name": report.agent,
        "model": report.model,
        "session_id": report.session_id,
        "succeeded": report.succeeded,
        "problem": report.problem,
        "reason": report.reason,
        "turns": report.turns,
        "tokens": tokens_json(report.tokens),
        "cost_usd": report.cost_usd,
        "cost_told": report.cost_usd is not None,
        "retries": report.retries,
        "rate_limited": report.rate_limited,
        "resets_at": _stamp(report.resets_at),
        "final_text": report.final_text,
        "errors": list(report.errors),
    }


def changes_json(changes: Changes | None) -> dict[str, Any] | None:
    """What came back out of an attempt's workspace; None where its kind brings nothing back."""
    return None if changes is None else asdict(changes)


def tokens_json(tokens: Tokens) -> dict[str, int]:
    """Each kind, and all together."""
    return {**asdict(tokens), "total": tokens.total}


class AgentTotals:
    """What all attempts of a run used together, those that were repeated too."""

    def __init__(self) -> None:
        self.attempts = 0
        self._untold = 0
        self._turns = 0
        self._retries = 0
        self._cost_usd = 0.0
        self._tokens = Tokens()
        self._pauses: list[dict[str, Any]] = []

    def take(self, report: AgentReport) -> None:
        """One more attempt has ended."""
        self.attempts += 1
        self._untold += report.cost_usd is None
        self._turns += report.turns
        self._retries += report.retries
        self._cost_usd += report.cost_usd or 0.0
        more, so_far = report.tokens, self._tokens
        self._tokens = Tokens(
            input=so_far.input + more.input,
            output=so_far.output + more.output,
            cache_read=so_far.cache_read + more.cache_read,
            cache_write=so_far.cache_write + more.cache_write,
        )

    def pause(self, fact: facts.AccountPaused) -> None:
        """An account had no more to give; the last word of each pause counts."""
        told = {"account": fact.account, "until": _stamp(fact.until), "because": fact.because}
        if told not in self._pauses:
            self._pauses.append(told)

    def result(self) -> dict[str, Any] | None:
        """As JSON; None where the run had no agents. A cost that an attempt does not tell is not in the sum."""
        if not self.attempts and not self._pauses:
            return None
        return {
            "attempts": self.attempts,
            "turns": self._turns,
            "tokens": tokens_json(self._tokens),
            "cost_usd": round(self._cost_usd, 6),
            "attempts_without_cost": self._untold,
            "retries": self._retries,
            "accounts_paused": self._pauses,
        }


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
