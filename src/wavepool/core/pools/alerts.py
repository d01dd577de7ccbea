"""The seed's three warnings about pools, each told once until it clears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wavepool.core.pools.readings import PoolMetrics
from wavepool.model import AlertRules

Level = Literal["warn", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A warning that began, or (`cleared`) one that is over; `text` is a sentence for a person."""

    name: str
    level: Level
    text: str
    cleared: bool = False


class AlertBook:
    """What was told already."""

    def __init__(self, rules: AlertRules) -> None:
        self._rules = rules
        self._told: dict[str, Alert] = {}

    @property
    def active(self) -> tuple[Alert, ...]:
        """Those that were told and have not cleared."""
        return tuple(self._told.values())

    def look(self, metrics: PoolMetrics) -> list[Alert]:
        """What is to be told now: each warning as it begins, and as it is over."""
        found = {alert.name: alert for alert in self._found(metrics)}
        began = [alert for name, alert in found.items() if name not in self._told]
        over = [
            Alert(name=name, level=alert.level, text=f"over: {alert.text}", cleared=True)
            for name, alert in self._told.items()
            if name not in found
        ]
        self._told = {name: self._told.get(name, alert) for name, alert in found.items()}
        return began + over

    def _found(self, metrics: PoolMetrics) -> list[Alert]:
        return [alert for alert in (self._busy(metrics), self._missing(metrics), self._ill(metrics)) if alert]

    def _busy(self, metrics: PoolMetrics) -> Alert | None:
        limit, percent = self._rules.utilization_percent, metrics.pool_utilization_percent
        if limit is None or not metrics.total_containers or percent <= limit:
            return None
        text = f"pools are {percent:.0f}% in use (above {limit:g}%): raise their size or max_size"
        return Alert(name="utilization", level="warn", text=text)

    def _missing(self, metrics: PoolMetrics) -> Alert | None:
        limit, percent = self._rules.hit_rate_percent, metrics.container_hit_rate_percent
        if limit is None or metrics.hits + metrics.misses < self._rules.arrivals_min or percent >= limit:
            return None
        text = (
            f"only {percent:.0f}% of the tasks found a warm container (below {limit:g}%): see which types are asked for"
        )
        return Alert(name="hit_rate", level="warn", text=text)

    def _ill(self, metrics: PoolMetrics) -> Alert | None:
        limit, healthy, ill = self._rules.healthy_ratio, metrics.healthy_containers, metrics.unhealthy_containers
        if limit is None or not ill or healthy / (healthy + ill) >= limit:
            return None
        text = f"{ill} of {healthy + ill} pooled containers are unhealthy: see their logs, and the image"
        return Alert(name="healthy_ratio", level="error", text=text)
