"""This host, and pools as their server tells of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from pydantic import TypeAdapter

from wavepool.core.pools import Dispatch, PoolBook
from wavepool.model import AgentType, Limits, PoolSettings
from wavepool.monitoring.documents.overview import HostNow, PoolEntry, PoolServerEntry
from wavepool.monitoring.sources.host import HostRing, HostSource
from wavepool.monitoring.sources.pools import PoolServerSource, PoolsSource, ServerStatus, pool_entry, server_entry
from wavepool.monitoring.usage.readings import KEPT
from wavepool.statedir import StateDir

HOST, POOL, SERVER = TypeAdapter(HostNow), TypeAdapter(PoolEntry), TypeAdapter(PoolServerEntry)


def test_the_host_is_told_with_what_our_attempts_use_of_it(tmp_path: Path) -> None:
    for name, average in (("cpu", 12.5), ("memory", 0.0)):
        (tmp_path / name).write_text(f"some avg10={average} avg60=0.00 avg300=0.00 total=1\n")
    told: list[tuple[int | None, float | None]] = [(None, None), (4096, 33.33)]
    source = HostSource(tmp_path / "not" / "there", lambda: told.pop(0), pressure_root=tmp_path)

    async def read() -> list[HostNow]:
        return [await source.read(), await source.read()]

    first, second = (HOST.validate_python(each) for each in anyio.run(read))
    assert first["cpu_pressure_percent"] == 12.5
    assert first["memory_pressure_percent"] == 0
    assert "io_pressure_percent" not in first
    assert "containers_memory_bytes" not in first
    assert (second["containers_memory_bytes"], second["containers_cpu_percent"]) == (4096, 33.3)
    assert 0 < second["memory_available_bytes"] <= second["memory_total_bytes"]
    history = source.history()
    assert history["containers_memory_bytes"] == [None, 4096]
    assert len(history["at"]) == len(history["cpu_percent"]) == len(history["memory_used_bytes"]) == 2


def test_the_past_of_the_host_is_bounded() -> None:
    ring = HostRing()
    now: HostNow = {
        "at": "2026-11-20T23:15:30.000Z", "name": "h", "cpu_count": 2, "cpu_percent": 1.0, "memory_total_bytes": 10,
        "memory_available_bytes": 4, "disk_used_percent": 1.0, "load": [0.0, 0.0, 0.0],
    }  # fmt: skip
    for _ in range(KEPT + 5):
        ring.add(now)
    assert ring.read()["memory_used_bytes"] == [6] * KEPT


def status_of_pool() -> dict[str, Any]:
    """As `PoolServer.status` has it, of a pool in which one task was dispatched warm and one was not."""
    book = PoolBook(AgentType(name="worker", image="i", limits=Limits(memory_bytes=1)), PoolSettings())
    book.begin_park(0.0)
    book.parked("a", 1.0)
    assert book.claim(2.0) == "a"
    assert book.claim(3.0) is None
    reading = book.snapshot(4.0)
    told = {name: getattr(reading, name) for name in reading.__dataclass_fields__}
    exact = {"counts": [], "sum_s": 0.1, "p50_s": 0.002, "p99_s": 0.01}
    told |= {"dispatch": {Dispatch.EXACT.value: exact, Dispatch.COLD.value: {**exact, "p50_s": None}}}
    pool = {**told, "drained": False, "starts_cold_because": None, "trouble": None}
    server = {"pid": 7, "since": "2026-11-20T23:15:30.000Z", "tasks": 2, "clients": 1, "ending": False, "socket": "s"}
    return {"server": server, "pools": [pool], "alerts": []}


def test_a_pool_is_told_with_its_rates() -> None:
    status = status_of_pool()
    entry = POOL.validate_python(pool_entry(status["pools"][0]))
    assert (entry["agent_type"], entry["hits"], entry["misses"], entry["hit_rate_percent"]) == ("worker", 1, 1, 50.0)
    assert (entry["dispatch_p50_s"], entry["dispatch_p99_s"]) == (0.002, 0.01)
    assert "drained" not in entry
    assert "alerts" not in entry
    assert server_entry(status) == {"pid": 7, "since": "2026-11-20T23:15:30.000Z", "tasks": 2, "clients": 1}


def test_what_is_wrong_with_a_pool_is_told() -> None:
    status = status_of_pool()
    status["pools"][0] |= {"drained": True, "starts_cold_because": "no Docker", "trouble": "no image", "hits": 0}
    status["pools"][0] |= {"misses": 0, "dispatch": {}}
    status["server"]["ending"], status["alerts"] = True, ["pools are 95% in use"]
    entry = POOL.validate_python(pool_entry(status["pools"][0]))
    assert entry["alerts"] == ["starts cold: no Docker", "no image"]
    assert entry["drained"] is True
    assert "hit_rate_percent" not in entry
    found = SERVER.validate_python(server_entry(status))
    assert (found["ending"], found["alerts"]) == (True, ["pools are 95% in use"])


def test_without_a_server_there_is_nothing(tmp_path: Path) -> None:
    status = ServerStatus(StateDir(tmp_path).server())

    async def read() -> list[Any]:
        return [await PoolsSource(status).read(), await PoolServerSource(status).read()]

    assert anyio.run(read) == [{}, {}]
    assert list(tmp_path.iterdir()) == []
