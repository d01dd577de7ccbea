"""Pools and the process that serves them, as it tells over its socket."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any

import anyio

from wavepool.engine.control.pools.client import NoServer, open_client
from wavepool.monitoring.documents.overview import PoolEntry, PoolServerEntry
from wavepool.statedir import ServerPlace

PERIOD_S = 1.0

PATIENCE_S = 5.0
"""For a server that is just starting, or has many clients."""


class ServerStatus:
    """What the server says of itself, asked once for all who want to know within `PERIOD_S`."""

    def __init__(self, place: ServerPlace) -> None:
        self._place = place
        self._turn = anyio.Lock()
        self._found: Mapping[str, Any] | None = None
        self._asked_s: float | None = None

    async def read(self) -> Mapping[str, Any] | None:
        """As `PoolClient.status`; None where no process serves. Raises InfrastructureError."""
        async with self._turn:
            if self._asked_s is None or monotonic() - self._asked_s >= PERIOD_S / 2:
                self._asked_s = None
                self._found = await self._ask()
                self._asked_s = monotonic()
            return self._found

    async def _ask(self) -> Mapping[str, Any] | None:
        try:
            async with open_client(self._place, patience_s=PATIENCE_S) as client:
                return await client.status()
        except NoServer:
            return None


class PoolsSource:
    """Each pool by its agent type."""

    name = "pools"
    period_s = PERIOD_S

    def __init__(self, status: ServerStatus) -> None:
        self._status = status

    async def read(self) -> dict[str, PoolEntry]:
        """Raises InfrastructureError."""
        found = await self._status.read()
        return {} if found is None else {pool["agent_type"]: pool_entry(pool) for pool in found["pools"]}


class PoolServerSource:
    """Who serves them; nothing where nobody does."""

    name = "pool_server"
    period_s = PERIOD_S

    def __init__(self, status: ServerStatus) -> None:
        self._status = status

    async def read(self) -> Mapping[str, Any]:
        """Raises InfrastructureError."""
        found = await self._status.read()
        return {} if found is None else server_entry(found)


def pool_entry(pool: Mapping[str, Any]) -> PoolEntry:
    """One pool of a status."""
    counted = ("target", "idle", "busy", "cold", "unhealthy", "hits", "misses", "executions")
    entry: Any = {"agent_type": pool["agent_type"], **{name: pool[name] for name in counted}}
    came = pool["hits"] + pool["misses"]
    if came:
        entry["hit_rate_percent"] = round(100 * pool["hits"] / came, 1)
    dispatch = pool["dispatch"].get("exact") or {}
    entry.update((f"dispatch_{name}", dispatch[name]) for name in ("p50_s", "p99_s") if dispatch.get(name) is not None)
    if pool["drained"]:
        entry["drained"] = True
    cold = pool["starts_cold_because"]
    alerts = [*([f"starts cold: {cold}"] if cold else []), *([pool["trouble"]] if pool["trouble"] else [])]
    if alerts:
        entry["alerts"] = alerts
    found: PoolEntry = entry
    return found


def server_entry(status: Mapping[str, Any]) -> PoolServerEntry:
    """The server of a status."""
    server = status["server"]
    entry: PoolServerEntry = {
        "pid": server["pid"],
        "since": server["since"],
        "tasks": server["tasks"],
        "clients": server["clients"],
    }
    if server["ending"]:
        entry["ending"] = True
    if status["alerts"]:
        entry["alerts"] = list(status["alerts"])
    return entry
