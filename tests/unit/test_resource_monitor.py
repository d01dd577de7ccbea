"""The seed's monitor: its history, its thresholds, its two settings, and its thread."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from wavepool.host import ResourceMonitor, ResourceReading
from wavepool.host import monitor as module
from wavepool.units import GIB

LONG_S = 60.0


def reading(cpu: float = 10, memory: float = 20, cores: int = 6) -> ResourceReading:
    return ResourceReading(
        cpu_percent=cpu,
        memory_percent=memory,
        disk_usage_percent=50,
        available_memory_gb=10,
        cpu_count=cores,
        load_avg=(1, 2, 3),
        at=datetime(2030, 1, 1, tzinfo=UTC),
    )


class Memory:
    def __init__(self, gib: float) -> None:
        self.total = int(gib * GIB)


class Told:
    """A host that says what it is told, and can be waited for."""

    def __init__(self, *script: ResourceReading) -> None:
        self.script = list(script)
        self.asked = 0
        self.turn = threading.Condition()

    def __call__(self) -> ResourceReading:
        with self.turn:
            self.asked += 1
            self.turn.notify_all()
            return self.script[min(self.asked, len(self.script)) - 1]

    def wait(self, times: int) -> None:
        with self.turn:
            assert self.turn.wait_for(lambda: self.asked >= times, LONG_S)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "wavepool-resources"]


def test_it_reads_until_it_is_stopped_and_keeps_its_history() -> None:
    host = Told(reading())
    monitor = ResourceMonitor(interval_s=0.001, read=host)
    monitor.start_monitoring()
    assert len(monitor.resource_history) >= 1, "there is one at once: an average over none would be an error"
    monitor.start_monitoring()
    assert threads() == ["wavepool-resources"]
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "wavepool-resources")
    host.wait(150)
    monitor.stop_monitoring()
    monitor.stop_monitoring()
    assert threads() == []
    assert len(monitor.resource_history) == 100
    asked = host.asked
    assert not monitor.monitoring
    monitor.start_monitoring()
    host.wait(asked + 3)
    monitor.stop_monitoring()


def test_its_history_can_be_gone_through_while_it_grows() -> None:
    host = Told(reading())
    with ResourceMonitor(interval_s=0.0001, read=host) as monitor:
        for _ in range(200):
            history = monitor.resource_history
            assert sum(r.cpu_percent for r in history) / len(history) == pytest.approx(10)
    assert threads() == []


def test_above_a_threshold_it_is_overloaded() -> None:
    host = Told(reading(cpu=80, memory=85), reading(cpu=81), reading(memory=86), reading(memory=86))
    monitor = ResourceMonitor(read=host)
    assert (monitor.cpu_threshold, monitor.memory_threshold) == (80, 85)
    assert not monitor.is_system_overloaded(), "at the threshold, not above it"
    assert monitor.is_system_overloaded()
    assert monitor.is_system_overloaded()
    monitor.memory_threshold = 95
    assert not monitor.is_system_overloaded()


@pytest.mark.parametrize(
    ("cores", "gib", "conservative", "aggressive"),
    [(1, 64, 1, 1), (2, 64, 1, 2), (4, 64, 3, 4), (16, 64, 4, 8), (16, 5, 2, 3), (16, 0.5, 1, 1), (8, 12, 4, 8)],
)
def test_how_many_at_once(
    monkeypatch: pytest.MonkeyPatch, cores: int, gib: float, conservative: int, aggressive: int
) -> None:
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: Memory(gib))
    monitor = ResourceMonitor(read=Told(reading(cores=cores)))
    assert monitor.get_optimal_concurrency() == conservative
    assert monitor.get_optimal_concurrency("aggressive") == aggressive
    loaded = ResourceMonitor(read=Told(reading(cpu=99, cores=cores)))
    assert loaded.get_optimal_concurrency("aggressive") == max(1, aggressive // 2)
    assert loaded.get_optimal_concurrency() == max(1, conservative // 2)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="expected conservative or aggressive"):
        ResourceMonitor(read=Told(reading())).get_optimal_concurrency("reckless")  # type: ignore[arg-type]


def test_this_host_is_read() -> None:
    found = ResourceMonitor().current()
    assert 0 <= found.cpu_percent <= 100
    assert 0 < found.memory_percent < 100
    assert 0 < found.disk_usage_percent <= 100
    assert found.available_memory_gb > 0
    assert found.cpu_count >= 1
    assert len(found.load_avg) == 3
