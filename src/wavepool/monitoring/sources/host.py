"""This host as the overview has it, and what it was like before."""

from __future__ import annotations

import socket
from array import array
from collections.abc import Callable
from datetime import datetime
from math import isnan, nan
from pathlib import Path
from typing import Any

import anyio

from wavepool.host import nearest_existing, read_memory
from wavepool.host.monitor import HostReader
from wavepool.host.pressure import PRESSURE_ROOT, read_some
from wavepool.monitoring.documents.overview import HostHistory, HostNow
from wavepool.monitoring.runs.entries import iso
from wavepool.monitoring.usage.readings import KEPT

PERIOD_S = 2.0

Together = Callable[[], tuple[int | None, float | None]]
"""Memory (bytes) and CPU (percent of one core) of all our attempts that were read; None where nothing was."""


class HostSource:
    """Reads this host every `PERIOD_S`, and keeps `KEPT` readings.

    Args:
        directory: on the disk that is looked at; need not exist.
        together: asked for what our attempts use.
    """

    name = "host"
    period_s = PERIOD_S

    def __init__(self, directory: Path, together: Together, *, pressure_root: Path = PRESSURE_ROOT) -> None:
        self._read = HostReader(nearest_existing(directory))
        self._together = together
        self._pressure_root = pressure_root
        self._history = HostRing()

    async def read(self) -> HostNow:
        """As it is now. Raises OSError."""
        found = await anyio.to_thread.run_sync(self._look)
        memory_bytes, cpu_percent = self._together()
        if memory_bytes is not None:
            found["containers_memory_bytes"] = memory_bytes
        if cpu_percent is not None:
            found["containers_cpu_percent"] = round(cpu_percent, 1)
        self._history.add(found)
        return found

    def history(self) -> HostHistory:
        """Up to the newest reading."""
        return self._history.read()

    def _look(self) -> HostNow:
        reading, memory = self._read(), read_memory()
        found: HostNow = {
            "at": iso(reading.at),
            "name": socket.gethostname(),
            "cpu_count": reading.cpu_count,
            "cpu_percent": round(reading.cpu_percent, 1),
            "memory_total_bytes": memory.total_bytes,
            "memory_available_bytes": memory.available_bytes,
            "disk_used_percent": round(reading.disk_usage_percent, 1),
            "load": [round(each, 2) for each in reading.load_avg],
        }
        pressures = {name: read_some(self._pressure_root / name) for name in ("cpu", "memory", "io")}
        told: Any = {f"{name}_pressure_percent": some.average for name, some in pressures.items() if some is not None}
        found.update(told)
        return found


class HostRing:
    """The newest `KEPT` readings: 12 kB."""

    def __init__(self) -> None:
        self._rings = tuple(array("d") for _ in range(5))

    def add(self, now: HostNow) -> None:
        """One more; the oldest goes where there is no room."""
        values = (
            datetime.fromisoformat(now["at"]).timestamp(),
            now["cpu_percent"],
            now["memory_total_bytes"] - now["memory_available_bytes"],
            now.get("containers_cpu_percent", nan),
            now.get("containers_memory_bytes", nan),
        )
        for ring, value in zip(self._rings, values, strict=True):
            ring.append(value)
            if len(ring) > KEPT:
                del ring[0]

    def read(self) -> HostHistory:
        """All of them, oldest first."""
        at, cpu, memory, containers_cpu, containers_memory = self._rings
        return {
            "at": list(at),
            "cpu_percent": list(cpu),
            "memory_used_bytes": [int(each) for each in memory],
            "containers_cpu_percent": [None if isnan(each) else each for each in containers_cpu],
            "containers_memory_bytes": [None if isnan(each) else int(each) for each in containers_memory],
        }
