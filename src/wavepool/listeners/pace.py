"""How fast attempts end, and so how long the rest may take."""

from __future__ import annotations

ESTIMATE_FROM = 3
"""Finished attempts before a time left is told."""


class Pace:
    """Sums over attempts; O(1) for each begin and end. Every second is on the clock of `WorkTime`."""

    def __init__(self) -> None:
        self._first_start_s: float | None = None
        self._active = 0
        self._since_sum_s = 0.0
        self._finished = 0
        self._finished_s = 0.0

    def begin(self, at_s: float) -> None:
        """An attempt holds memory from then on."""
        self._active += 1
        self._since_sum_s += at_s
        if self._first_start_s is None:
            self._first_start_s = at_s

    def end(self, since_s: float, at_s: float) -> None:
        """One that had begun at `since_s` has ended."""
        self._active -= 1
        self._since_sum_s -= since_s
        self._finished += 1
        self._finished_s += at_s - since_s

    def now(self, clock_s: float) -> PaceNow | None:
        """As of that moment; None until enough is known."""
        if self._finished < ESTIMATE_FROM or self._first_start_s is None:
            return None
        mean_s, span_s = self._finished_s / self._finished, clock_s - self._first_start_s
        if span_s <= 0 or mean_s <= 0:
            return None
        active_s = self._active * clock_s - self._since_sum_s
        concurrency = (self._finished_s + active_s) / span_s
        return PaceNow(mean_s, concurrency, max(0.0, self._active * mean_s - active_s))


class PaceNow:
    """What is expected by what was seen.

    Attributes:
        mean_s: duration of finished attempts.
        concurrency: how many attempts were active at once since the first one, in the mean.
        missing_s: what active attempts lack of the mean, together.
    """

    __slots__ = ("concurrency", "mean_s", "missing_s")

    def __init__(self, mean_s: float, concurrency: float, missing_s: float) -> None:
        self.mean_s = mean_s
        self.concurrency = concurrency
        self.missing_s = missing_s

    def left_s(self, tasks: int) -> float:
        """Seconds until so many more tasks, and what is active, are done."""
        return (tasks * self.mean_s + self.missing_s) / self.concurrency

    def alone_s(self, tasks: int) -> float:
        """Seconds that so many tasks take once they may start; that of one at least."""
        return self.mean_s * max(1.0, tasks / max(1.0, self.concurrency))
