"""What agents have used up: ended attempts by facts, live ones by readings, which no fact keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from wavepool.model import AgentReport, AttemptId, Tokens


class Spent(NamedTuple):
    """Money, as far as it was told, and tokens."""

    cost_usd: float = 0.0
    tokens: int = 0

    def plus(self, other: Spent) -> Spent:
        """Both together."""
        return Spent(self.cost_usd + other.cost_usd, self.tokens + other.tokens)

    def less(self, other: Spent) -> Spent:
        """Without that."""
        return Spent(self.cost_usd - other.cost_usd, self.tokens - other.tokens)

    @classmethod
    def by(cls, report: AgentReport) -> Spent:
        """By one whole attempt; a cost that nobody told counts 0."""
        return cls(report.cost_usd or 0.0, report.tokens.total)


class Heard(NamedTuple):
    """What a live attempt has told at most."""

    cost_usd: float | None = None
    tokens: Tokens = Tokens()

    @property
    def spent(self) -> Spent:
        """As one sum."""
        return Spent(self.cost_usd or 0.0, self.tokens.total)


class Spending:
    """Of one run. What ended attempts have used is folded from facts, so that a replay finds the same sums.

    A reading of a live attempt is lost with the process; the next one reads that attempt's output from its beginning.
    """

    def __init__(self) -> None:
        self.ended = Spent()
        """Of all attempts that ended since the run began, or since somebody had tasks tried again by hand."""
        self._live: dict[AttemptId, Heard] = {}
        self._of_live = Spent()

    def read(self, attempt: AttemptId, cost_usd: float | None, tokens: Tokens) -> Spent:
        """A reading of a live attempt; one never falls."""
        before = self._live.get(attempt, Heard())
        cost_usd = before.cost_usd if cost_usd is None else max(before.cost_usd or 0.0, cost_usd)
        now = Heard(cost_usd, max(before.tokens, tokens, key=lambda each: each.total))
        self._live[attempt] = now
        self._of_live = self._of_live.plus(now.spent).less(before.spent)
        return now.spent

    def completed(self, attempt: AttemptId, report: AgentReport) -> AgentReport:
        """The report, with what was heard while it lived where that is more: the beginning or all of an output may be
        lost, and what was used stays used.
        """
        heard = self._live.get(attempt, Heard())
        if heard.cost_usd is not None and heard.cost_usd > (report.cost_usd or 0.0):
            report = replace(report, cost_usd=heard.cost_usd)
        return replace(report, tokens=heard.tokens) if heard.tokens.total > report.tokens.total else report

    def settle(self, attempt: AttemptId, report: AgentReport | None) -> None:
        """It has ended: its report replaces its readings."""
        heard = self._live.pop(attempt, None)
        if heard is not None:  # sums of money lose a little in each step
            self._of_live = self._of_live.less(heard.spent) if self._live else Spent()
        if report is not None:
            self.ended = self.ended.plus(Spent.by(report))

    def forgive(self) -> None:
        """What ended attempts have used does not count any more."""
        self.ended = Spent()

    def total(self) -> Spent:
        """Ended and live ones together."""
        return self.ended.plus(self._of_live)
