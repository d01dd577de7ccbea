"""What this host has left, and how hard it is pressed. Readings only; nothing here decides what runs."""

from __future__ import annotations

from wavepool.host.monitor import ResourceMonitor, ResourceReading
from wavepool.host.pressure import PressureGauge
from wavepool.host.room import (
    CgroupReading,
    DiskReading,
    MemoryReading,
    nearest_existing,
    read_cgroups,
    read_disk,
    read_memory,
)

__all__ = [
    "CgroupReading",
    "DiskReading",
    "MemoryReading",
    "PressureGauge",
    "ResourceMonitor",
    "ResourceReading",
    "nearest_existing",
    "read_cgroups",
    "read_disk",
    "read_memory",
]
