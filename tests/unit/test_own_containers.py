"""Containers as the seed's WebSocket shows them: what is measured, what is asked again, what one that fails costs."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import anyio
import pytest

from wavepool import labels
from wavepool.drivers.docker.remains.sights import ContainerSight, ContainerUse, DockerSights, use_from_stats
from wavepool.errors import DriverUnavailable
from wavepool.monitoring.sources.containers import (
    BETWEEN_S,
    FRESH_S,
    LINE_CHARACTERS,
    LOG_BYTES,
    MEASURED,
    OwnContainers,
    UnknownContainer,
)
from wavepool.statedir import StateDir
from wavepool.testing.virtual_time import run_virtual

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def sight(name: str, state: str = "running", exit_code: int | None = None) -> ContainerSight:
    return ContainerSight(
        id=f"id-{name}",
        name=name,
        image="image",
        state=state,
        exit_code=exit_code,
        created_at=BEGAN,
        labels={labels.TASK: f"task {name}"},
        ports={"80/tcp": (("127.0.0.1", "8000"),)},
    )


class Sights:
    """An engine: each container uses half a core, and writes a long line."""

    def __init__(self, *sights: ContainerSight) -> None:
        self.sights = list(sights)
        self.asked: Counter[str] = Counter()
        self.broken = ""
        self.since = datetime.now(UTC)

    async def containers(self, owner: str) -> list[ContainerSight]:
        self.asked["list"] += 1
        return self.sights

    async def use(self, container_id: str) -> ContainerUse | None:
        self.asked[f"use {container_id}"] += 1
        if container_id == self.broken:
            raise DriverUnavailable("cut off")
        now_s = anyio.current_time()
        return ContainerUse(
            at=self.since + timedelta(seconds=now_s),
            cpu_s=now_s / 2,
            memory_bytes=50,
            memory_limit_bytes=200,
            pids=3,
            received_bytes=7,
            sent_bytes=8,
            read_bytes=9,
            written_bytes=10,
        )

    async def last_words(self, container_id: str, messages: int) -> bytes:
        self.asked[f"words {container_id}"] += 1
        return b"first\n\xff" + b"x" * 100_000 + b"\nlast"


def own(sights: Sights, directory: Path) -> OwnContainers:
    return OwnContainers(StateDir(directory), sights=cast(DockerSights, sights), clock=anyio.current_time)


def test_what_runs_is_measured_between_two_readings_and_what_has_ended_is_read_once(tmp_path: Path) -> None:
    async def watch() -> None:
        sights = Sights(sight("runs"), sight("ended", "exited", 3))
        containers = own(sights, tmp_path)
        begun_s = anyio.current_time()
        first = await containers.shown()
        assert anyio.current_time() - begun_s == pytest.approx(BETWEEN_S, abs=0.1)
        assert first["runs"]["stats"]["cpu_percent"] == pytest.approx(50, abs=1)
        assert (first["runs"]["stats"]["memory_usage"], first["runs"]["stats"]["memory_limit"]) == (50, 200)
        assert first["runs"]["ports"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}]}
        assert (first["runs"]["task_id"], first["ended"]["exit_code"]) == ("task runs", 3)
        assert "stats" not in first["ended"]
        start, long, end = first["ended"]["recent_logs"]
        assert (start, end, len(long)) == ("first", "last", LINE_CHARACTERS)
        assert await containers.shown() is first, "it is fresh"
        for _ in range(3):
            await anyio.sleep(FRESH_S + 1)
            again = await containers.shown()
        assert again["ended"]["recent_logs"] == first["ended"]["recent_logs"]
        assert sights.asked["words id-ended"] == 1
        assert sights.asked["words id-runs"] == 4
        assert sights.asked["use id-runs"] == 2 + 3

    run_virtual(watch)


def test_one_that_cannot_be_read_hides_no_other_and_of_many_the_oldest_are_not_measured(tmp_path: Path) -> None:
    async def watch() -> None:
        sights = Sights(*(sight(str(number)) for number in range(MEASURED + 5)))
        sights.broken = "id-1"
        shown = await own(sights, tmp_path).shown()
        assert len(shown) == MEASURED + 5
        assert "stats" not in shown["1"]
        assert sum("stats" in each for each in shown.values()) == MEASURED - 1
        assert "stats" not in shown[str(MEASURED)]

    run_virtual(watch)


def test_what_is_asked_of_one_is_bounded_and_only_of_ours(tmp_path: Path) -> None:
    async def watch() -> None:
        containers = own(Sights(sight("runs"), sight("ended", "exited", 0)), tmp_path)
        logs = await containers.logs("runs")
        assert len(logs) == LOG_BYTES
        assert logs.endswith("x\nlast")
        stats = await containers.stats("runs")
        assert (stats["memory_percent"], stats["pids"], stats["block_read"], stats["block_write"]) == (25.0, 3, 9, 10)
        assert (await containers.stats("ended"))["memory_usage"] == 0
        with pytest.raises(UnknownContainer):
            await containers.logs("another's")

    run_virtual(watch)


def test_readings_of_the_engine() -> None:
    stats = {
        "read": "2026-01-01T00:00:00.5Z",
        "memory_stats": {"usage": 500, "limit": 1000, "stats": {"inactive_file": 100}},
        "pids_stats": {"current": 4},
        "cpu_stats": {"cpu_usage": {"total_usage": 2_000_000_000}},
        "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}},
        "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 5}, {"op": "write", "value": 6}]},
    }
    use = use_from_stats(stats)
    assert use is not None
    assert (use.memory_bytes, use.memory_limit_bytes, use.cpu_s, use.pids) == (400, 1000, 2.0, 4)
    assert (use.received_bytes, use.sent_bytes, use.read_bytes, use.written_bytes) == (11, 22, 5, 6)
    assert use.at == BEGAN + timedelta(milliseconds=500)
    assert use_from_stats({"read": "0001-01-01T00:00:00Z"}) is None
