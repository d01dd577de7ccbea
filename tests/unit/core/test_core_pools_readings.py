"""What pools tell of themselves: the seed's names and units, histograms, and warnings that are told once."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from wavepool.core.pools import AlertBook, Dispatch, PoolBook, PoolMetrics, metrics_of
from wavepool.core.pools.readings import BUCKETS_S, Histogram
from wavepool.model import AgentType, AlertRules, Limits, PoolSettings


def book(name: str = "coder", idle: int = 0) -> PoolBook:
    agent = AgentType(name=name, image="agent:1", limits=Limits(memory_bytes=512 << 20))
    found = PoolBook(agent, PoolSettings(size=idle, max_size=20, auto_scaling=False, reuse=True))
    for number in range(idle):
        found.begin_park(0.0)
        found.parked(f"{name}{number}", 1.0)
    return found


def test_the_metrics_of_the_seed_by_its_names() -> None:
    coder, tester = book("coder", idle=3), book("tester", idle=1)
    for took_s in (0.2, 0.4):
        key = coder.claim(2.0)
        assert key is not None
        coder.returned(key, 3.0, took_s)
    coder.claim(4.0)
    tester.claim(4.0)
    assert tester.claim(4.0) is None
    tester.cold_began(4.0)
    tester.cold_ended(5.0, 0.6)
    coder.unhealthy("coder0", 5.0)
    found = metrics_of([coder.snapshot(5.0), tester.snapshot(5.0)]).as_seed()
    assert found == {
        "totalContainers": 3,
        "activeContainers": 2,
        "idleContainers": 1,
        "containersByType": {"coder": 2, "tester": 1},
        "poolUtilization": pytest.approx(200 / 3),
        "averageExecutionTime": pytest.approx(400.0),
        "containerHitRate": pytest.approx(80.0),
        "healthyContainers": 3,
        "unhealthyContainers": 1,
    }


def test_metrics_of_nothing_are_zero() -> None:
    assert metrics_of([]).total_containers == 0
    found = metrics_of([book().snapshot(0.0)]).as_seed()
    assert found["containersByType"] == {"coder": 0}
    assert {value for name, value in found.items() if name != "containersByType"} == {0}


def test_a_container_is_told_in_the_seeds_nine_fields() -> None:
    coder = book(idle=1)
    key = coder.claim(11.0)
    assert key is not None
    coder.returned(key, 61.0, 50.0)
    reading = coder.snapshot(101.0).containers[0]
    now = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
    assert reading.as_seed("coder", container_id="abc", now_s=101.0, now=now, network_id="net") == {
        "containerId": "abc",
        "agentType": "coder",
        "createdAt": "2026-11-27T11:58:20.000+00:00",
        "lastUsed": "2026-11-27T11:59:20.000+00:00",
        "execCount": 1,
        "isHealthy": True,
        "isInUse": False,
        "networkId": "net",
        "volumeId": None,
    }


def test_dispatches_are_counted_by_how_and_how_long() -> None:
    coder = book()
    for seconds in (0.0005, 0.0015, 0.0015, 30.0):
        coder.dispatched(Dispatch.EXACT, seconds)
    coder.dispatched(Dispatch.RESIZED, 0.015)
    reading = coder.snapshot(1.0)
    exact = reading.dispatch[Dispatch.EXACT]
    assert exact.counts == (1, 3, *([3] * (len(BUCKETS_S) - 2)), 4)
    assert (exact.count, exact.sum_s) == (4, pytest.approx(30.0035))
    assert (reading.resized, reading.dispatch[Dispatch.COLD].count) == (1, 0)


def test_quantiles_are_straight_within_a_bucket() -> None:
    histogram = Histogram()
    assert histogram.read().quantile(0.5) is None
    for _ in range(10):
        histogram.observe(0.0015)
    assert histogram.read().quantile(0.5) == pytest.approx(0.0015)
    assert histogram.read().quantile(1.0) == pytest.approx(0.002)
    histogram.observe(99.0)
    assert histogram.read().quantile(1.0) == BUCKETS_S[-1]


def test_nothing_grows_with_the_number_of_tasks() -> None:
    agent = AgentType(name="coder", image="agent:1", limits=Limits(memory_bytes=512 << 20))
    coder = PoolBook(agent, PoolSettings(size=2))
    sizes = []
    for number in range(6000):
        now_s = 1.0 + number
        coder.begin_park(now_s)
        coder.parked(f"c{number:06}", now_s + 0.1)
        key = coder.claim(now_s + 0.2)
        assert key is not None
        coder.dispatched(Dispatch.EXACT, 0.001)
        coder.ended(key, now_s + 0.3, 0.1)
        coder.decide(now_s + 0.3)
        sizes.append(len(pickle.dumps(coder)))
    assert max(sizes) < 1.1 * sizes[1000]


# -- alerts --

CALM = PoolMetrics(
    total_containers=10,
    active_containers=5,
    idle_containers=5,
    pool_utilization_percent=50.0,
    average_execution_ms=1.0,
    container_hit_rate_percent=90.0,
    healthy_containers=10,
    unhealthy_containers=0,
    hits=90,
    misses=10,
)


@pytest.mark.parametrize(
    ("changes", "name", "level", "words"),
    [
        ({"pool_utilization_percent": 95.0}, "utilization", "warn", "pools are 95% in use (above 90%)"),
        ({"container_hit_rate_percent": 40.0}, "hit_rate", "warn", "only 40% of the tasks found a warm container"),
        (
            {"healthy_containers": 7, "unhealthy_containers": 3},
            "healthy_ratio",
            "error",
            "3 of 10 pooled containers are unhealthy",
        ),
    ],
)
def test_each_warning_is_told_once_until_it_clears(
    changes: dict[str, float], name: str, level: str, words: str
) -> None:
    alerts = AlertBook(AlertRules())
    assert alerts.look(CALM) == []
    (alert,) = alerts.look(replace(CALM, **changes))  # type: ignore[arg-type]
    assert (alert.name, alert.level, alert.cleared) == (name, level, False)
    assert words in alert.text
    assert alerts.look(replace(CALM, **changes)) == []  # type: ignore[arg-type]
    assert alerts.active == (alert,)
    (over,) = alerts.look(CALM)
    assert (over.name, over.cleared) == (name, True)
    assert alerts.look(CALM) == []
    assert len(alerts.look(replace(CALM, **changes))) == 1  # type: ignore[arg-type]


def test_at_the_bounds_nothing_is_told() -> None:
    at = replace(
        CALM,
        pool_utilization_percent=90.0,
        container_hit_rate_percent=50.0,
        healthy_containers=8,
        unhealthy_containers=2,
    )
    assert AlertBook(AlertRules()).look(at) == []


def test_a_hit_rate_of_a_few_tasks_says_nothing() -> None:
    assert AlertBook(AlertRules()).look(replace(CALM, container_hit_rate_percent=0.0, hits=0, misses=9)) == []


def test_warnings_can_be_moved_and_switched_off() -> None:
    bad = replace(CALM, pool_utilization_percent=100.0, container_hit_rate_percent=0.0, unhealthy_containers=10)
    off = AlertRules(utilization_percent=None, hit_rate_percent=None, healthy_ratio=None)
    assert AlertBook(off).look(bad) == []
    assert len(AlertBook(AlertRules()).look(bad)) == 3
    assert len(AlertBook(AlertRules(utilization_percent=40.0)).look(CALM)) == 1
