"""Readings of a container's cgroup through descriptors held open: one sweep of 100 costs about a millisecond.

The files are those of the kernel's documentation (admin-guide/cgroup-v1, cgroup-v2). Memory is usage less inactive
file cache, as `docker stats` counts it.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from wavepool.drivers.base import Usage

CGROUP_ROOT = Path("/sys/fs/cgroup")
_READ_BYTES = 8192
"""Larger than any of these files: memory.stat of v2 has about 1.5 KiB."""
REUSED, IDLE_CPU_S = 29, 0.001
"""Where less CPU time than this was used since the last whole reading, nothing of consequence can have changed (a fork
takes about a tenth of it; init in an idle container wakes each second for 40 µs): that reading holds, for at most so
many times. So one file is read of an idle container, not six."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where one version of cgroups keeps each reading: (controller directory of v1, file)."""

    memory: tuple[str, str]
    memory_limit: tuple[str, str]
    memory_peak: tuple[str, str]
    memory_stat: tuple[str, str]
    inactive_key: bytes
    pids: tuple[str, str]
    cpu: tuple[str, str]
    cpu_key: bytes
    cpu_per_s: float
    oom: tuple[str, str]


_V1 = _Layout(
    memory=("memory", "memory.usage_in_bytes"),
    memory_limit=("memory", "memory.limit_in_bytes"),
    memory_peak=("memory", "memory.max_usage_in_bytes"),
    memory_stat=("memory", "memory.stat"),
    inactive_key=b"total_inactive_file ",
    pids=("pids", "pids.current"),
    cpu=("cpuacct", "cpuacct.usage"),
    cpu_key=b"",
    cpu_per_s=1e9,
    oom=("memory", "memory.oom_control"),
)
_V2 = _Layout(
    memory=("", "memory.current"),
    memory_limit=("", "memory.max"),
    memory_peak=("", "memory.peak"),
    memory_stat=("", "memory.stat"),
    inactive_key=b"inactive_file ",
    pids=("", "pids.current"),
    cpu=("", "cpu.stat"),
    cpu_key=b"usage_usec ",
    cpu_per_s=1e6,
    oom=("", "memory.events"),
)
_OOM_KEY = b"oom_kill "


def cgroup_version(root: Path = CGROUP_ROOT) -> int:
    """1 or 2: which hierarchy carries the memory controller. A hybrid host counts as 1."""
    return 2 if (root / "cgroup.controllers").exists() else 1


def usual_paths(container_id: str) -> Iterator[str]:
    """Where the daemon puts a container's cgroup: with the cgroupfs driver, with systemd, and rootless."""
    yield f"docker/{container_id}"
    yield f"system.slice/docker-{container_id}.scope"
    uid = os.getuid()
    yield f"user.slice/user-{uid}.slice/user@{uid}.service/user.slice/docker-{container_id}.scope"


def path_of_process(pid: int, proc: Path = Path("/proc")) -> str | None:
    """The cgroup of a process of this host, relative to its hierarchy; for daemons with a --cgroup-parent."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return None
    places = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    path = next((path for controllers, path in places.items() if "memory" in controllers.split(",")), places.get(""))
    return path.strip("/") if path else None


class _Counter(ABC):
    """One counter of one container's cgroup; one descriptor. Close it."""

    def __init__(self, path: str, *, root: Path = CGROUP_ROOT) -> None:
        """Open the counter of the cgroup at `path`. Raises OSError."""
        *better, last = self._files(_V2 if cgroup_version(root) == 2 else _V1)
        flags = os.O_RDONLY | os.O_CLOEXEC
        for controller, file in better:
            with suppress(FileNotFoundError):
                self._descriptor = os.open(root / controller / path / file, flags)
                return
        self._descriptor = os.open(root / last[0] / path / last[1], flags)

    @staticmethod
    @abstractmethod
    def _files(layout: _Layout) -> tuple[tuple[str, str], ...]:
        """Controller and file, the best first: the first that this kernel has is read."""

    @classmethod
    def find(cls, container_id: str, *, root: Path = CGROUP_ROOT) -> Self | None:
        """The counter of a container, or None where it has no cgroup (yet). Raises OSError: it cannot be opened."""
        for path in usual_paths(container_id):
            try:
                return cls(path, root=root)
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None

    def close(self) -> None:
        """Give the descriptor back; once."""
        os.close(self._descriptor)

    def _raw(self) -> bytes:
        raw = os.pread(self._descriptor, _READ_BYTES, 0)
        if not raw:
            raise OSError(errno.ENODEV, "its cgroup is gone")
        return raw


class OomCounter(_Counter):
    """How many processes of one container the kernel has killed for memory."""

    @staticmethod
    def _files(layout: _Layout) -> tuple[tuple[str, str], ...]:
        return (layout.oom,)

    def read(self) -> int:
        """Kills so far. Raises OSError: the container has ended and its cgroup is gone."""
        return _value(self._raw(), _OOM_KEY) or 0


class PeakCounter(_Counter):
    """The most memory that one container has used, file cache included.

    Where the kernel keeps no peak (v2 before 5.19) it reads what is used now.
    """

    @staticmethod
    def _files(layout: _Layout) -> tuple[tuple[str, str], ...]:
        return (layout.memory_peak, layout.memory)

    def read(self) -> int:
        """Bytes so far. Raises OSError: the container has ended and its cgroup is gone."""
        return int(self._raw())


class CgroupReader:
    """The cgroup of one container, its files held open. Close it; reading after the container's end raises OSError."""

    def __init__(self, path: str, *, root: Path = CGROUP_ROOT) -> None:
        """Open the cgroup at `path` (relative to the hierarchy).

        Raises:
            OSError: it is not there, or there are no descriptors left.
        """
        self._layout = _V2 if cgroup_version(root) == 2 else _V1
        self._files: dict[str, int] = {}
        self._root = root
        self._path = path
        self._last: Usage | None = None
        self._reused = 0
        try:
            for name in ("memory", "memory_stat", "pids", "cpu"):
                self._files[name] = self._open(name)
            for name in ("memory_peak", "oom"):  # missing before kernel 5.19 (v2 peak), and in old v1
                self._open_if_there(name)
            self._limit = self._read_limit()
        except BaseException:
            self.close()
            raise

    @classmethod
    def find(cls, container_id: str, *, pid: int | None = None, root: Path = CGROUP_ROOT) -> Self | None:
        """The reader of a container, or None where its cgroup is in none of the known places.

        Raises:
            OSError: it is there but cannot be opened (no descriptors left, no permission).
        """
        of_process = path_of_process(pid) if pid else None
        for path in (*usual_paths(container_id), *([of_process] if of_process else [])):
            try:
                return cls(path, root=root)
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None

    def read(self) -> Usage:
        """One reading; where nothing much has run since the last whole one, that very object.

        Raises:
            OSError: the container has ended and its cgroup is gone.
        """
        layout = self._layout
        raw = self._raw("cpu")
        cpu_s = ((_value(raw, layout.cpu_key) if layout.cpu_key else int(raw)) or 0) / layout.cpu_per_s
        last = self._last
        if last is not None and cpu_s - last.cpu_s < IDLE_CPU_S and self._reused < REUSED:
            self._reused += 1
            return last
        self._last, self._reused = self._read(cpu_s), 0
        return self._last

    def _read(self, cpu_s: float) -> Usage:
        layout = self._layout
        memory = self._number("memory")
        inactive = _value(self._raw("memory_stat"), layout.inactive_key) or 0
        return Usage(
            memory_bytes=max(0, memory - inactive),
            memory_limit_bytes=self._limit,
            memory_peak_bytes=self._number("memory_peak") if "memory_peak" in self._files else None,
            pids=self._number("pids"),
            cpu_s=cpu_s,
            oom_kills=_value(self._raw("oom"), _OOM_KEY) if "oom" in self._files else None,
        )

    def close(self) -> None:
        """Give the descriptors back. Safe to repeat."""
        files, self._files = self._files, {}
        for descriptor in files.values():
            os.close(descriptor)

    def _open(self, name: str) -> int:
        controller, file = getattr(self._layout, name)
        return os.open(self._root / controller / self._path / file, os.O_RDONLY | os.O_CLOEXEC)

    def _open_if_there(self, name: str) -> None:
        try:
            self._files[name] = self._open(name)
        except FileNotFoundError:
            return

    def _read_limit(self) -> int:
        descriptor = self._open("memory_limit")
        try:
            raw = os.pread(descriptor, 64, 0).strip()
        finally:
            os.close(descriptor)
        return (1 << 63) - 1 if raw == b"max" else int(raw)

    def _raw(self, name: str) -> bytes:
        raw = os.pread(self._files[name], _READ_BYTES, 0)
        if not raw:
            raise OSError(errno.ENODEV, f"{self._path}: its cgroup is gone")
        return raw

    def _number(self, name: str) -> int:
        return int(self._raw(name))


def _value(raw: bytes, key: bytes) -> int | None:
    """The number after `key` at the start of a line of a flat keyed file; None where it has no such line."""
    at = 0 if raw.startswith(key) else raw.find(b"\n" + key) + 1
    if at == 0 and not raw.startswith(key):
        return None
    end = raw.find(b"\n", at)
    return int(raw[at + len(key) : end if end >= 0 else None])
