"""`wavepool pool status`, for a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wavepool.cli.columns import print_columns, say
from wavepool.listeners.wording import stamp

SHOWN_ID = 12
"""Characters of a container's id, as docker shows it."""

POOLS = ("type", "wanted", "idle", "busy", "cold", "tasks", "hits", "dispatch p50", "p99", "note")
CONTAINERS = ("container", "type", "created", "last used", "tasks", "healthy", "in use")


def print_status(found: Mapping[str, Any]) -> None:
    """Pools, containers, metrics and warnings, each in its lines."""
    pools = found["pools"]
    if pools:
        print_columns(POOLS, [_pool(pool) for pool in pools], right=POOLS[1:-1])
    containers = [each for pool in pools for each in pool["containers"]]
    if containers:
        say()
        print_columns(CONTAINERS, [_container(each) for each in containers], right=("tasks",))
    say()
    say(_metrics(found["metrics"]))
    server = found["server"]
    ending = ", ending" if server["ending"] else ""
    say(f"served by process {server['pid']} since {server['since']}{ending}; session {found['session']}")
    for alert in found["alerts"]:
        say(f"warning: {alert}")


def _pool(pool: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        pool["agent_type"],
        *(str(pool[name]) for name in ("target", "idle", "busy", "cold", "arrivals", "hits")),
        *_dispatch(pool["dispatch"].get("exact")),
        _note(pool),
    )


def _note(pool: Mapping[str, Any]) -> str:
    if pool["drained"]:
        return "drained"
    if pool["starts_cold_because"]:
        return f"starts cold: {pool['starts_cold_because']}"
    return str(pool["trouble"] or "").split("\n")[0]


def _dispatch(histogram: Mapping[str, Any] | None) -> tuple[str, str]:
    """About the median and the 99th percentile of warm dispatches."""
    if histogram is None or histogram["p50_s"] is None:
        return "-", "-"
    return f"{1000 * histogram['p50_s']:.1f}ms", f"{1000 * histogram['p99_s']:.1f}ms"


def _container(each: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        each["containerId"][:SHOWN_ID],
        each["agentType"],
        stamp(datetime.fromisoformat(each["createdAt"])),
        stamp(datetime.fromisoformat(each["lastUsed"])) if each["execCount"] else "-",
        str(each["execCount"]),
        "yes" if each["isHealthy"] else "no",
        "yes" if each["isInUse"] else "no",
    )


def _metrics(metrics: Mapping[str, Any]) -> str:
    return (
        f"{metrics['totalContainers']} containers: {metrics['activeContainers']} active, "
        f"{metrics['idleContainers']} idle, {metrics['unhealthyContainers']} unhealthy; "
        f"{metrics['poolUtilization']:.1f}% in use, hit rate {metrics['containerHitRate']:.1f}%, "
        f"a task takes {metrics['averageExecutionTime']:.0f}ms on average"
    )
