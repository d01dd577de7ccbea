"""What agents have used up: ended attempts by facts, live ones by readings, which no fact keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from wavepool.model import AgentReport, AttemptId


@dataclass(slots=True, kw_only=True)
class AccountState:
    """One account that has had no more to give.

    Attributes:
        until: when it has again, as it was told last.
        because: what was said.
        pauses: in a row, without a success in between.
    """

    until: datetime
    because: str
    pauses: int = 0


class Spent(NamedTuple):
    """Money, as far as it was told, and tokens."""

    cost_usd: float = 0.0
    tokens: int = 0

    def plus(self, other: Spent) -> Spent:
        """Both together."""
        return Spent(self.cost_usd + other.cost_usd, self.tokens + other.tokens)

    @classmethod
    def by(cls, report: AgentReport) -> Spent:
        """By one whole attempt; a cost that nobody told counts 0."""
        return cls(report.cost_usd or 0.0, report.tokens.total)


class Spending:
    """Of one run. What ended attempts have used is folded from facts, so that a replay finds the same sums.

    A reading of a live attempt is lost with the process; the next one reads that attempt's output from its beginning.
    """

    def __init__(self) -> None:
        self.ended = Spent()
        """Of all attempts that ended since the run began, or since somebody had tasks tried again by hand."""
        self._live: dict[AttemptId, Spent] = {}

    def read(self, attempt: AttemptId, cost_usd: float | None, tokens: int) -> Spent:
        """A reading of a live attempt; one never falls."""
        before = self._live.get(attempt, Spent())
        now = Spent(max(before.cost_usd, cost_usd or 0.0), max(before.tokens, tokens))
        self._live[attempt] = now
        return now

    def settle(self, attempt: AttemptId, report: AgentReport | None) -> None:
        """It has ended: its report replaces its readings."""
        self._live.pop(attempt, None)
        if report is not None:
            self.ended = self.ended.plus(Spent.by(report))

    def forgive(self) -> None:
        """What ended attempts have used does not count any more."""
        self.ended = Spent()

    def total(self) -> Spent:
        """Ended and live ones together. O(live attempts)."""
        total = self.ended
        for each in self._live.values():
            total = total.plus(each)
        return total
