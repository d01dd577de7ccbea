"""What a pool tells of itself, under the seed's names and units where the seed has them.

Everything is counted or measured; nothing grows with the number of tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper bounds of the dispatch histograms, in seconds; one more bucket is without a bound."""


class Dispatch(StrEnum):
    """How a task came to its container: a claim that fitted, one that was resized first, or a cold start."""

    EXACT = "exact"
    RESIZED = "resized"
    COLD = "cold"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramReading:
    """Durations, counted by size. `counts` are those up to each of `BUCKETS_S`, and all of them last: cumulative."""

    counts: tuple[int, ...]
    sum_s: float

    @property
    def count(self) -> int:
        """How many there were."""
        return self.counts[-1]

    def quantile(self, part: float) -> float | None:
        """About the `part`-quantile in seconds, None of nothing: straight within a bucket, as Prometheus'
        ``histogram_quantile`` has it; beyond the last bound it is that bound."""
        if not self.count:
            return None
        rank, below, floor_s = part * self.count, 0, 0.0
        for bound_s, count in zip(BUCKETS_S, self.counts, strict=False):
            if count >= rank and count > below:
                return floor_s + (bound_s - floor_s) * max(0.0, rank - below) / (count - below)
            below, floor_s = count, bound_s
        return floor_s


class Histogram:
    """Durations as they come. Its size is fixed."""

    __slots__ = ("_counts", "_sum_s")

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_S) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one more."""
        place = next((place for place, bound_s in enumerate(BUCKETS_S) if seconds <= bound_s), len(BUCKETS_S))
        self._counts[place] += 1
        self._sum_s += seconds

    def read(self) -> HistogramReading:
        """As it stands now."""
        total, counts = 0, []
        for count in self._counts:
            total += count
            counts.append(total)
        return HistogramReading(counts=tuple(counts), sum_s=self._sum_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerReading:
    """One container of a pool. Times are seconds of the clock that the book is told."""

    key: str
    created_s: float
    last_used_s: float
    exec_count: int
    healthy: bool
    in_use: bool

    def as_seed(
        self,
        agent_type: str,
        *,
        container_id: str,
        now_s: float,
        now: datetime,
        network_id: str | None = None,
        volume_id: str | None = None,
    ) -> dict[str, object]:
        """The nine fields of the seed's container info.

        Args:
            container_id: the engine's; the book knows only its own key.
            now_s, now: the same moment by the book's clock and in aware UTC: what dates are reckoned from.
            network_id, volume_id: None where there is none.
        """
        return {
            "containerId": container_id,
            "agentType": agent_type,
            "createdAt": (now - timedelta(seconds=now_s - self.created_s)).isoformat(timespec="milliseconds"),
            "lastUsed": (now - timedelta(seconds=now_s - self.last_used_s)).isoformat(timespec="milliseconds"),
            "execCount": self.exec_count,
            "isHealthy": self.healthy,
            "isInUse": self.in_use,
            "networkId": network_id,
            "volumeId": volume_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolReading:
    """One pool at one moment.

    Attributes:
        agent_type: whose it is.
        target: how many it wants: idle ones, where each is used once; with reuse, busy ones too.
        idle, busy: parked containers that wait and that run a task.
        cold: tasks that run in containers of their own, because none was idle.
        parking: whether one is being made.
        unhealthy: that failed a check or died unused, and were not replaced yet.
        arrivals, hits, misses: tasks that came; that found one idle; that did not. ``hits + misses == arrivals``.
        resized: of the hits, those whose limits were changed at the claim.
        executions, execution_s: tasks that ended, and what they took together.
        parked, park_failures, lost: containers that were made; that could not be; that died unused.
        retired: reason -> how many went for it.
        rate_per_s, lead_s: what was learned: arrivals a second, and seconds until one that is taken is replaced (with
            reuse: is back); None as long as nothing was.
        dispatch: how -> from the claim to the start of its task.
        containers: each of them, idle ones first.
    """

    agent_type: str
    target: int
    idle: int
    busy: int
    cold: int
    parking: bool
    unhealthy: int
    arrivals: int
    hits: int
    misses: int
    resized: int
    executions: int
    execution_s: float
    parked: int
    park_failures: int
    lost: int
    retired: Mapping[str, int]
    rate_per_s: float | None
    lead_s: float | None
    dispatch: Mapping[Dispatch, HistogramReading]
    containers: tuple[ContainerReading, ...]

    @property
    def total(self) -> int:
        """Containers of this type that there are, those of cold starts included."""
        return self.idle + self.busy + self.cold


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolMetrics:
    """The seed's metrics over all pools, and the two counts behind its rate."""

    total_containers: int
    active_containers: int
    idle_containers: int
    containers_by_type: Mapping[str, int] = field(default_factory=dict)
    pool_utilization_percent: float
    average_execution_ms: float
    container_hit_rate_percent: float
    healthy_containers: int
    unhealthy_containers: int
    hits: int
    misses: int

    def as_seed(self) -> dict[str, object]:
        """By the names of the seed: percent, milliseconds and counts."""
        return {
            "totalContainers": self.total_containers,
            "activeContainers": self.active_containers,
            "idleContainers": self.idle_containers,
            "containersByType": dict(self.containers_by_type),
            "poolUtilization": self.pool_utilization_percent,
            "averageExecutionTime": self.average_execution_ms,
            "containerHitRate": self.container_hit_rate_percent,
            "healthyContainers": self.healthy_containers,
            "unhealthyContainers": self.unhealthy_containers,
        }


def metrics_of(pools: Iterable[PoolReading]) -> PoolMetrics:
    """The seed's metrics of these pools together; rates and averages of nothing are 0."""
    pools = list(pools)
    total = sum(pool.total for pool in pools)
    active = sum(pool.busy + pool.cold for pool in pools)
    arrivals, hits = sum(pool.arrivals for pool in pools), sum(pool.hits for pool in pools)
    executions = sum(pool.executions for pool in pools)
    ill = sum(not each.healthy for pool in pools for each in pool.containers)
    return PoolMetrics(
        total_containers=total,
        active_containers=active,
        idle_containers=total - active,
        containers_by_type={pool.agent_type: pool.total for pool in pools},
        pool_utilization_percent=100.0 * active / total if total else 0.0,
        average_execution_ms=1000.0 * sum(pool.execution_s for pool in pools) / executions if executions else 0.0,
        container_hit_rate_percent=100.0 * hits / arrivals if arrivals else 0.0,
        healthy_containers=total - ill,
        unhealthy_containers=sum(pool.unhealthy for pool in pools),
        hits=hits,
        misses=arrivals - hits,
    )
