"""Readings by the Engine API: for remote daemons, and where the cgroup files cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wavepool.drivers.base import Usage


def usage_from_stats(stats: Mapping[str, Any]) -> Usage | None:
    """One reading from the answer of ``/containers/{id}/stats``; None where the container does not run."""
    memory = stats.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    inactive = details.get("total_inactive_file", details.get("inactive_file", 0))
    peak = memory.get("max_usage")
    return Usage(
        memory_bytes=max(0, int(memory["usage"]) - int(inactive)),
        memory_limit_bytes=int(memory.get("limit", 0)),
        memory_peak_bytes=int(peak) if peak else None,
        pids=int((stats.get("pids_stats") or {}).get("current", 0)),
        cpu_s=int(stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)) / 1e9,
    )
