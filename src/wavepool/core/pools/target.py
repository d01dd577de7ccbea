"""How many containers a pool wants: a level that is moved by hand, by thresholds and by disuse, or what was learned."""

from __future__ import annotations

from wavepool.core.pools.demand import Demand
from wavepool.core.pools.sizing import Thresholds
from wavepool.model import PoolSettings

CALM_WINDOWS = 6


class Target:
    """The size that one pool wants, within its bounds.

    Where each container is used once it counts idle ones; with reuse, busy ones too. What was learned rises at once,
    and falls by one a window after `CALM_WINDOWS` in which no arrival asked for as much: a container that goes and is
    made again a moment later is work for nothing.
    """

    def __init__(self, settings: PoolSettings, demand: Demand) -> None:
        self._settings = settings
        self._level = settings.size
        self._learned = 0
        self._drained = False
        self._first = True
        self._calm = 0
        self._demand = demand
        self._thresholds = Thresholds(
            up_percent=settings.scale_up_percent,
            down_percent=settings.scale_down_percent,
            window_s=settings.scale_interval_s,
        )

    @property
    def size(self) -> int:
        """What it wants now."""
        return 0 if self._drained else min(max(self._level, self._learned), self._settings.max_size)

    def note(self, now_s: float, active: int, total: int) -> None:
        """That so many of so many were in use until now; tell it before anything changes."""
        self._thresholds.note(now_s, active, total)

    def arrived(self, now_s: float, in_use: int) -> None:
        """A task came, while so many ran."""
        self._demand.arrived(now_s, needed=in_use + 1 if self._settings.reuse else None)
        if not self._settings.auto_scaling or not self._settings.learning:
            return
        wanted = self._demand.wanted(now_s)
        if wanted >= self._learned:
            self._learned, self._calm = wanted, CALM_WINDOWS

    def made(self, took_s: float) -> None:
        """One was made in so long. The first one says nothing: it may have waited for an image."""
        if self._first:
            self._first = False
        elif not self._settings.reuse:
            self._demand.led(took_s)

    def ran(self, took_s: float) -> None:
        """A task was over after so long."""
        if self._settings.reuse:
            self._demand.led(took_s)

    def by_hand(self, size: int) -> None:
        """This many, whatever was learned before."""
        self._level, self._learned = size, 0
        self._demand.forget()

    def drain(self) -> None:
        """None, from now on."""
        self._drained = True

    def reopen(self) -> None:
        """As many as before `drain`."""
        self._drained = False

    def unused(self, enough: int) -> None:
        """More than so many were not used for long."""
        self._level, self._learned = min(self._level, enough), min(self._learned, enough)
        self._demand.clip(enough)

    def scale(self, now_s: float) -> None:
        """At the end of a window: the level by the thresholds, and what was learned at most one step down."""
        if not self._settings.auto_scaling or self._thresholds.due_in_s(now_s) > 0:
            return
        step = self._thresholds.step(now_s)
        self._level = min(max(self._level + step, self._settings.min_size), self._settings.max_size)
        if self._calm:
            self._calm -= 1
        elif self._demand.wanted(now_s) < self._learned:
            self._learned -= 1

    def due_in_s(self, now_s: float, active: int) -> float | None:
        """Seconds until time alone may change it; None if only an event can."""
        moves = active or self._thresholds.in_demand or self._learned > self._demand.by_backlog()
        return self._thresholds.due_in_s(now_s) if self._settings.auto_scaling and moves else None
