"""How much is asked of a pool, learned from when tasks come and how long a replacement takes. Its size is fixed."""

from __future__ import annotations

import math

from wavepool.core.pools.sizing import HIT_GOAL, base_stock

GAP_WEIGHT = 0.1
LEAD_WEIGHT = 0.2
"""Of the newest value in the moving averages (EWMA) of gaps between arrivals and of lead times."""
GAPS_MIN = 4
"""Fewer gaps than this say nothing of a rate."""
MEMORY_ARRIVALS = 200
"""What was seen so many arrivals ago counts e times less."""
SEEN_MIN = 100
"""Of fewer values the 99th percentile is the largest one, whatever it is."""
_RESCALE = 1e9


class Demand:
    """What stock would have served each arrival so far, the older ones counting less; and the rate they come at.

    Two estimates. The base stock of a Poisson demand (see `sizing`) needs but a few arrivals; it takes the replacements
    for made all at once, and arrivals for independent. The other supposes neither: a model of the one refiller is kept
    beside the pool, which takes one lead time for each arrival in turn, and its backlog after an arrival is the stock
    that this arrival would have needed. The quantile of these, kept in one counter for each possible stock, covers
    bursts and a refiller that is nearly busy. Until `SEEN_MIN` arrivals the larger of both holds, then the second
    alone. (Decision 0019 has the figures.)
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._last_s: float | None = None
        self._gap_s = 0.0
        self._gaps = 0
        self._lead_s: float | None = None
        self._backlog = 0.0
        self._seen = [0.0] * (limit + 1)
        self._weight = 1.0

    def arrived(self, now_s: float, needed: int | None = None) -> None:
        """A task came. `needed` is the stock that would have served it, None to have it from the model."""
        gap_s = None if self._last_s is None else max(0.0, now_s - self._last_s)
        self._last_s = now_s
        if gap_s is not None:
            self._gaps += 1
            weight = max(GAP_WEIGHT, 1 / self._gaps)
            self._gap_s += weight * (gap_s - self._gap_s)
        if needed is None and self._lead_s is not None:
            made = math.inf if gap_s is None or self._lead_s <= 0 else gap_s / self._lead_s
            self._backlog = min(max(0.0, self._backlog - made) + 1, float(self._limit + 1))
            needed = math.ceil(self._backlog)
        if needed is not None:
            self._see(needed)

    def led(self, seconds: float) -> None:
        """A replacement took so long."""
        self._lead_s = seconds if self._lead_s is None else self._lead_s + LEAD_WEIGHT * (seconds - self._lead_s)

    def wanted(self, now_s: float) -> int:
        """The stock that serves `HIT_GOAL` of the arrivals, up to the limit; 0 as long as nothing is known."""
        seen = self.by_backlog()
        return seen if self._gaps >= SEEN_MIN else max(seen, self.by_rate(now_s))

    def by_rate(self, now_s: float) -> int:
        """The base stock of a Poisson demand of the rate and lead time so far."""
        rate = self.rate_per_s(now_s)
        return 0 if rate is None or self._lead_s is None else base_stock(rate * self._lead_s, self._limit)

    def by_backlog(self) -> int:
        """The stock that would have served `HIT_GOAL` of the arrivals so far."""
        rest = (1 - HIT_GOAL) * sum(self._seen)
        for stock in range(self._limit, 0, -1):
            rest -= self._seen[stock]
            if rest < 0:
                return stock
        return 0

    def rate_per_s(self, now_s: float) -> float | None:
        """Arrivals a second; it falls while none comes. None as long as there were too few."""
        if self._gaps < GAPS_MIN or self._last_s is None:
            return None
        return 1 / max(self._gap_s, now_s - self._last_s, 1e-6)

    @property
    def lead_s(self) -> float | None:
        """How long a replacement takes; None as long as there was none."""
        return self._lead_s

    def clip(self, stock: int) -> None:
        """More than this was not needed for long: forget that it ever was."""
        beyond = sum(self._seen[stock + 1 :])
        if beyond:
            self._seen[stock + 1 :] = [0.0] * (self._limit - stock)
            self._seen[stock] += beyond

    def forget(self) -> None:
        """Begin anew; only the lead time stays."""
        self._last_s, self._gap_s, self._gaps, self._backlog = None, 0.0, 0, 0.0
        self._seen = [0.0] * (self._limit + 1)

    def _see(self, stock: int) -> None:
        self._weight *= 1 + 1 / MEMORY_ARRIVALS
        if self._weight > _RESCALE:
            self._seen = [count / self._weight for count in self._seen]
            self._weight = 1.0
        self._seen[min(stock, self._limit)] += self._weight
