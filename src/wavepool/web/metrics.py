"""``/metrics``: what Prometheus scrapes.

Everything is read from the overview at the moment of the scrape. The number of series is bounded: no run, task or
container is in a label, and agent types beyond `TYPES_MAX` count together as ``other``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wavepool.engine.history.runs import Standing
from wavepool.monitoring.documents.overview import Overview, PoolEntry

TYPES_MAX = 50
OTHER = "other"

_TASKS = ("pending", "starting", "running", "succeeded", "failed", "skipped")
_SIZES = ("target", "idle", "busy", "cold", "unhealthy")
_SOURCES = ("runs", "host", "pools", "pool_server", "workspaces", "processes")

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Of this state directory, in the format that the client asks for."""
    services = request.app.state.services
    registry = CollectorRegistry(auto_describe=False)
    registry.register(OverviewCollector(services.monitor.overview.document, lambda: services.jobs.running))
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"Content-Type": kind})


class OverviewCollector(Collector):
    """Makes families of one overview.

    Args:
        read: the overview as it is now.
        jobs: how many jobs run.
    """

    def __init__(self, read: Callable[[], Mapping[str, Any]], jobs: Callable[[], int]) -> None:
        self._read = read
        self._jobs = jobs

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registry that lives for one scrape has nobody to clash with."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families; those of which nothing is known yet are left out."""
        overview = cast(Overview, self._read())
        yield _family("build_info", "The release that serves.", {(): 1}, label=("version", version("wavepool")))
        yield from _of_runs(overview)
        yield from _of_host(overview)
        yield from _of_pools(overview.get("pools", {}))
        yield _family("jobs_running", "Verbs of the command line that run as jobs.", {(): self._jobs()})
        problems = overview.get("problems", {})
        failing = {(name,): int(name in problems) for name in _SOURCES}
        yield _family("source_failing", "Whether what is shown could not be read just now.", failing, "source")


def _of_runs(overview: Overview) -> Iterator[Metric]:
    figures = overview["figures"]
    counts = dict.fromkeys(Standing, 0)
    for line in overview["runs"].values():
        if line["state"] in counts:
            counts[Standing(line["state"])] += 1
    yield _family("live_runs", "Runs that a process works on.", {(): figures["live_runs"]})
    shown = {(state.value,): number for state, number in counts.items()}
    yield _family("shown_runs", "The newest runs, by where they stand.", shown, "state")
    paused = sum(bool(line.get("paused")) for line in overview["runs"].values())
    yield _family("paused_runs", "Live runs that start nothing new.", {(): paused})
    tasks = {(state,): cast(Mapping[str, int], figures["tasks"])[state] for state in _TASKS}
    yield _family("live_tasks", "Tasks of live runs, by where they are.", tasks, "state")
    yield _family("live_containers", "Attempts of live runs under way.", {(): figures["containers"]})
    yield _family("live_memory_held_bytes", "Memory that attempts hold of the budget.", {(): figures["held_bytes"]})
    yield _family("live_memory_budget_bytes", "Memory that attempts may hold.", {(): figures["budget_bytes"]})
    yield _family("live_spent_dollars", "What agents of live runs told as their cost.", {(): figures["spent_usd"]})
    yield _family("live_tokens", "Tokens that agents of live runs told.", {(): figures["tokens"]})


def _of_host(overview: Overview) -> Iterator[Metric]:
    host = overview.get("host")
    if host is None:
        return
    yield _family("host_cpus", "Cores of this host.", {(): host["cpu_count"]})
    yield _family("host_cpu_busy_ratio", "Part of all cores that is busy.", {(): host["cpu_percent"] / 100})
    yield _family("host_memory_size_bytes", "Memory of this host.", {(): host["memory_total_bytes"]})
    yield _family("host_memory_available_bytes", "Memory that is free for use.", {(): host["memory_available_bytes"]})
    yield _family("host_disk_used_ratio", "Part of the disk that is used.", {(): host["disk_used_percent"] / 100})
    pressure = {
        (name,): cast(Mapping[str, float], host)[f"{name}_pressure_percent"] / 100
        for name in ("cpu", "memory", "io")
        if f"{name}_pressure_percent" in host
    }
    if pressure:
        yield _family("host_pressure_ratio", "Part of ten seconds in which something waited.", pressure, "resource")
    if "containers_memory_bytes" in host:
        told = host["containers_memory_bytes"]
        yield _family("containers_memory_bytes", "Memory that all our containers use.", {(): told})


def _of_pools(pools: Mapping[str, PoolEntry]) -> Iterator[Metric]:
    sizes, claims, runs = _Sums(), _Sums(), _Sums()
    latency: dict[tuple[str, ...], float] = {}
    for number, (name, pool) in enumerate(sorted(pools.items())):
        shown = name if number < TYPES_MAX else OTHER
        for size in _SIZES:
            sizes.add((shown, size), cast(Mapping[str, int], pool)[size])
        claims.add((shown, "hit"), pool["hits"])
        claims.add((shown, "miss"), pool["misses"])
        runs.add((shown,), pool["executions"])
        for quantile, member in (("0.5", "dispatch_p50_s"), ("0.99", "dispatch_p99_s")):
            if member in pool and shown is not OTHER:
                latency[shown, quantile] = cast(Mapping[str, float], pool)[member]
    yield _family("pool_containers", "Containers of a pool, by what they do.", sizes, "agent_type", "state")
    yield _family(
        "pool_claims", "Tasks that asked a pool for a container.", claims, "agent_type", "outcome", counts=True
    )
    yield _family("pool_executions", "Tasks that a pool has run.", runs, "agent_type", counts=True)
    if latency:
        words = "From a claim to the start of its task; quantiles since the server began."
        yield _family("pool_dispatch_seconds", words, latency, "agent_type", "quantile")


class _Sums(dict[tuple[str, ...], float]):
    """Values by their labels; those of the same are added."""

    def add(self, labels: tuple[str, ...], value: float) -> None:
        self[labels] = self.get(labels, 0) + value


def _family(
    name: str,
    words: str,
    values: Mapping[Any, float],
    *names: str,
    counts: bool = False,
    label: tuple[str, str] | None = None,
) -> Metric:
    """One family, its values by tuples of labels; `counts` makes it a counter, `label` is a constant one."""
    kind = CounterMetricFamily if counts else GaugeMetricFamily
    labels = names if label is None else (label[0],)
    family = kind(f"wavepool_{name}", words, labels=labels)
    for at, value in values.items():
        family.add_metric(list(at) if label is None else [label[1]], value)
    return cast(Metric, family)
