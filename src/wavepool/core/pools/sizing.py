"""How many containers to keep ready: the seed's thresholds of utilisation, and the base stock of what was learned.

**Base stock.** A pool that replaces each container as it is taken is an inventory under the (S-1, S) policy: stock on
hand and on order is always S. By Palm's theorem the number on order is Poisson with mean rate x lead time, whatever the
distribution of the lead times; a claim finds one on hand where fewer than S are on order. So S is the smallest stock
with ``P(on order <= S-1) >= goal``. Sources: Palm, *Analysis of the Erlang traffic formula for busy-signal
arrangements*, Ericsson Technics 5 (1938); Feeney and Sherbrooke, *The (s-1, s) inventory policy under compound Poisson
demand*, Management Science 12:5 (1966); Karush, *A queuing model for an inventory problem*, Operations Research 5:5
(1957), for demand that is lost to a cold start where there is no stock.
"""

from __future__ import annotations

import math

HIT_GOAL = 0.99
"""The part of the arrivals that shall find a container ready."""


def base_stock(mean_on_order: float, limit: int, goal: float = HIT_GOAL) -> int:
    """The smallest S of up to `limit` with ``P(Poisson(mean_on_order) <= S-1) >= goal``; at least 1, `limit` if none.

    Args:
        mean_on_order: arrivals a second times the lead time in seconds, at least 0.
        limit: at least 0; 0 gives 0.
        goal: above 0, below 1.
    """
    term = below = math.exp(-min(mean_on_order, 700.0))
    stock = 1
    while below < goal and stock < limit:
        term *= mean_on_order / stock
        below += term
        stock += 1
    return min(stock, limit)


class Thresholds:
    """The seed's rule: above one utilisation the level grows by one, below another it shrinks by one.

    Utilisation is the average over a window, not what it happens to be; one step a window. Two things keep it from
    going to and fro: after growing it does not shrink for `CALM_WINDOWS`, and it does not shrink where one container
    less would put the same load above the upper threshold. A window in which nothing ran changes nothing: what is not
    used at all is the idle timeout's.
    """

    CALM_WINDOWS = 3

    def __init__(self, *, up_percent: float, down_percent: float, window_s: float) -> None:
        self._up, self._down, self._window_s = up_percent / 100, down_percent / 100, window_s
        self._begun_s: float | None = None
        self._noted_s = 0.0
        self._active_s = self._total_s = 0.0
        self._calm = 0

    def note(self, now_s: float, active: int, total: int) -> None:
        """That there were so many until now; tell it before anything changes."""
        if self._begun_s is None:
            self._begun_s = self._noted_s = now_s
        passed_s = max(0.0, now_s - self._noted_s)
        self._active_s += active * passed_s
        self._total_s += total * passed_s
        self._noted_s = now_s

    @property
    def in_demand(self) -> bool:
        """Whether anything ran in this window."""
        return self._active_s > 0

    def due_in_s(self, now_s: float) -> float:
        """Seconds until the window ends, at least 0."""
        return self._window_s if self._begun_s is None else max(0.0, self._begun_s + self._window_s - now_s)

    def step(self, now_s: float) -> int:
        """+1, -1 or 0, and a new window. Call it where `due_in_s` is 0."""
        active_s, total_s = self._active_s, self._total_s
        passed_s = 0.0 if self._begun_s is None else now_s - self._begun_s
        self._begun_s, self._active_s, self._total_s = now_s, 0.0, 0.0
        calm, self._calm = self._calm, max(0, self._calm - 1)
        if active_s <= 0 or total_s <= 0:
            return 0
        if active_s / total_s > self._up:
            self._calm = self.CALM_WINDOWS
            return 1
        fits = active_s <= self._up * (total_s - passed_s)
        return -1 if fits and active_s / total_s < self._down and not calm else 0
