"""The seed's `ResourceMonitor`: looks at this host from a thread, and says how many tasks it can take at once."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psutil

from wavepool.host.cpu import CpuMeter, usable_cores
from wavepool.units import GIB

HISTORY = 100
"""Readings that are kept; an older one goes with each new one."""
INTERVAL_S = 1.0
JOIN_S = 10.0

Settings = Literal["conservative", "aggressive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceReading:
    """What the host had in use at one instant.

    Attributes:
        cpu_percent: of all cores together, since the reading before.
        memory_percent, disk_usage_percent: of all there is; the disk is that of the monitor's directory.
        available_memory_gb: what new processes can have without swapping, in GiB.
        cpu_count: cores that this process may use.
        load_avg: over 1, 5 and 15 minutes.
        at: when.
    """

    cpu_percent: float
    memory_percent: float
    disk_usage_percent: float
    available_memory_gb: float
    cpu_count: int
    load_avg: tuple[float, float, float]
    at: datetime


class ResourceMonitor:
    """Reads the host once a second between `start_monitoring` and `stop_monitoring`, or inside a ``with`` block.

    Without having been started it can be asked too: then it looks when it is asked.

    Args:
        interval_s: between two readings.
        directory: on the disk that is looked at.
        cpu_threshold, memory_threshold: percent; above either the host is overloaded. Both may be set at any time.
        read: takes a reading; the host's own unless told.
    """

    def __init__(
        self,
        *,
        interval_s: float = INTERVAL_S,
        directory: Path | None = None,
        cpu_threshold: float = 80,
        memory_threshold: float = 85,
        read: Callable[[], ResourceReading] | None = None,
    ) -> None:
        self.cpu_threshold = cpu_threshold
        self.memory_threshold = memory_threshold
        self._history: deque[ResourceReading] = deque(maxlen=HISTORY)
        self._interval_s = interval_s
        self._read = read or HostReader(directory or Path.cwd())
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def monitoring(self) -> bool:
        """True between start and stop."""
        return self._thread is not None

    @property
    def resource_history(self) -> list[ResourceReading]:
        """The newest 100 readings, oldest first: a copy, which nothing is added to while one goes through it."""
        with self._turn:
            return list(self._history)

    def start_monitoring(self) -> None:
        """Begin to read, with one reading at once. Nothing changes where that was begun."""
        with self._turn:
            if self._thread is not None:
                return
            self._take()
            self._stop = threading.Event()
            # a daemon: who forgets to stop it is not kept from ending
            self._thread = threading.Thread(
                target=self._watch, args=(self._stop,), name="wavepool-resources", daemon=True
            )
            self._thread.start()

    def stop_monitoring(self) -> None:
        """End it, and wait for its thread. The history stays. Nothing changes where nothing was begun."""
        with self._turn:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_S)

    def __enter__(self) -> Self:
        self.start_monitoring()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop_monitoring()

    def current(self) -> ResourceReading:
        """The newest reading; taken now where nothing is monitored."""
        with self._turn:
            if self._thread is None or not self._history:
                return self._take()
            return self._history[-1]

    def is_system_overloaded(self) -> bool:
        """True where CPU or memory are above their thresholds."""
        reading = self.current()
        return reading.cpu_percent > self.cpu_threshold or reading.memory_percent > self.memory_threshold

    def get_optimal_concurrency(self, settings: Settings = "conservative") -> int:
        """How many tasks at once this host can take, by what it has in all; half of that while it is overloaded.

        ``conservative``: min(cores - 1, GiB / 2, 4). ``aggressive``: min(cores, GiB / 1.5, 8). At least 1.
        """
        reading = self.current()
        total_gb = psutil.virtual_memory().total / GIB
        if settings == "aggressive":
            most = min(reading.cpu_count, int(total_gb / 1.5), 8)
        elif settings == "conservative":
            most = min(reading.cpu_count - 1, int(total_gb / 2), 4)
        else:
            raise ValueError(f"settings: got {settings!r}, expected conservative or aggressive")
        return max(1, most // 2 if self.is_system_overloaded() else most)

    def _take(self) -> ResourceReading:
        reading = self._read()
        self._history.append(reading)
        return reading

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(self._interval_s):
            reading = self._read()  # outside the lock: who asks never waits for a disk
            with self._turn:
                if not stop.is_set():
                    self._history.append(reading)


class HostReader:
    """Reads this host. CPU use counts from the reading before; the first one takes `FIRST_S` to have one."""

    FIRST_S = 0.1

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._cpu: CpuMeter | None = None

    def __call__(self) -> ResourceReading:
        if self._cpu is None:
            self._cpu = CpuMeter()
            time.sleep(self.FIRST_S)
        cpu_percent = self._cpu.read()
        memory = psutil.virtual_memory()
        return ResourceReading(
            cpu_percent=cpu_percent,
            memory_percent=memory.percent,
            disk_usage_percent=_disk_percent(self._directory),
            available_memory_gb=memory.available / GIB,
            cpu_count=usable_cores(),
            load_avg=psutil.getloadavg(),
            at=datetime.now(UTC),
        )


def _disk_percent(directory: Path) -> float:
    try:
        return psutil.disk_usage(str(directory)).percent
    except OSError:  # it was removed under us; the rest is still worth having
        return psutil.disk_usage("/").percent
