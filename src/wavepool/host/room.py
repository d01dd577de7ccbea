"""What this host has left: memory, disk, cgroups."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUP_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReading:
    """Bytes in all, what new processes can have without swapping, and swap in all."""

    total_bytes: int
    available_bytes: int
    swap_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskReading:
    """The file system under `path`, the nearest directory that exists. `free_bytes` is what this user may take."""

    path: Path
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupReading:
    """How this host groups processes.

    Attributes:
        version: 2, 1 (a hybrid host counts as 1, as its memory controller is there), or 0 where none is mounted.
        controllers: those that are there, by name.
        writable: this process may make groups there; a daemon that runs as root may even where we may not.
    """

    version: int
    controllers: frozenset[str]
    writable: bool


def read_memory() -> MemoryReading:
    """The host's memory now (MemAvailable of /proc/meminfo on Linux)."""
    memory = psutil.virtual_memory()
    return MemoryReading(
        total_bytes=int(memory.total), available_bytes=int(memory.available), swap_bytes=int(psutil.swap_memory().total)
    )


def read_disk(path: Path) -> DiskReading:
    """The file system that holds `path`, or that would if it were made.

    Raises:
        OSError: it cannot be asked.
    """
    there = nearest_existing(path)
    usage = psutil.disk_usage(str(there))
    return DiskReading(path=there, total_bytes=int(usage.total), free_bytes=int(usage.free))


def nearest_existing(path: Path) -> Path:
    """`path`, or the first directory above it that exists."""
    absolute = path.absolute()
    return next((each for each in (absolute, *absolute.parents) if each.exists()), Path("/"))


def read_cgroups(root: Path = CGROUP_ROOT) -> CgroupReading:
    """The cgroup hierarchy mounted at `root`. Never raises: what cannot be read is not there."""
    unified = _text(root / "cgroup.controllers")
    if unified is not None:
        return CgroupReading(version=2, controllers=frozenset(unified.split()), writable=os.access(root, os.W_OK))
    memory = root / "memory"
    if (memory / "memory.limit_in_bytes").exists() or (memory / "memory.usage_in_bytes").exists():
        controllers = frozenset(entry.name for entry in root.iterdir() if (entry / "cgroup.procs").exists())
        return CgroupReading(version=1, controllers=controllers, writable=os.access(memory, os.W_OK))
    return CgroupReading(version=0, controllers=frozenset(), writable=False)


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
