"""Control groups of both versions: limits that the kernel enforces on a whole attempt, and readings of it.

v1 (and hybrid): ``<root>/{memory,pids,cpu,cpuacct}/wavepool/<name>``. v2: ``<top>/wavepool/<name>``, where `top` is the
highest group above our own in which we may make groups: the root for root, a delegated slice for a user of systemd.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wavepool.drivers.base import Usage
from wavepool.model import Limits

GROUP = "wavepool"
CPU_PERIOD_US = 100_000
CPU_QUOTA_MIN_US = 1_000
"""The kernel refuses a quota below this."""
REQUIRED = "memory"
_MAKE_ATTEMPTS = 5
_POLL_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What a supervisor needs of an attempt's groups. All are paths.

    Attributes:
        directories: of each hierarchy; the first lists all processes.
        join: files into which the task writes itself.
        oom: file with an ``oom_kill N`` line; `oom_event_control` is v1's file for notices.
        peak: file with the highest memory reading.
        cpu: file, key in it (empty for a bare number), and units per second.
        kill_writes: (file, value) that kill the group, or at least keep it from growing.
    """

    directories: tuple[str, ...]
    join: tuple[str, ...]
    oom: str
    oom_event_control: str | None
    peak: str
    cpu: tuple[str, str, float] | None
    kill_writes: tuple[tuple[str, str], ...]


class Cgroups(ABC):
    """A writable place in one cgroup hierarchy. All calls block shortly; OSError where the kernel refuses."""

    version: str

    @abstractmethod
    def parents(self) -> tuple[Path, ...]:
        """The directory that holds our groups, in each hierarchy; the first has all processes and the memory."""

    @abstractmethod
    def create(self, name: str, limits: Limits) -> Membership:
        """Make the groups of an attempt and set its limits; safe to repeat."""

    @abstractmethod
    def usage(self, name: str, limit_bytes: int) -> Usage | None:
        """A reading; None where the group does not exist."""

    @abstractmethod
    def cpu_s(self, name: str) -> float | None:
        """The CPU time that an attempt has used, alone; None where it cannot be read."""

    def directories(self, name: str) -> tuple[Path, ...]:
        """The groups of an attempt, in each hierarchy."""
        return tuple(parent / name for parent in self.parents())

    def prune(self) -> None:
        """Remove the directories that hold our groups where nobody uses them any more."""
        for parent in self.parents():
            with contextlib.suppress(OSError):
                parent.rmdir()


class CgroupsV1(Cgroups):
    """One directory for each controller. `mounts` maps controllers to where they are mounted."""

    version = "v1"

    def __init__(self, mounts: Mapping[str, Path]) -> None:
        self._mounts = dict(mounts)

    def parents(self) -> tuple[Path, ...]:
        return tuple(self._mounts[name] / GROUP for name in self._ordered())

    def create(self, name: str, limits: Limits) -> Membership:
        for directory in self.directories(name):
            _make(directory)
        memory = self._at("memory", name)
        write_control(memory / "memory.limit_in_bytes", str(limits.memory_bytes))
        if (memory / "memory.memsw.limit_in_bytes").exists():
            write_control(memory / "memory.memsw.limit_in_bytes", str(limits.memory_bytes))
        else:
            write_control(memory / "memory.swappiness", "0")
        if limits.pids is not None and "pids" in self._mounts:
            write_control(self._at("pids", name) / "pids.max", str(limits.pids))
        if limits.cpus is not None and "cpu" in self._mounts:
            write_control(self._at("cpu", name) / "cpu.cfs_period_us", str(CPU_PERIOD_US))
            write_control(self._at("cpu", name) / "cpu.cfs_quota_us", str(_quota_us(limits.cpus)))
        return self._membership(name)

    def _membership(self, name: str) -> Membership:
        directories, memory = self.directories(name), self._at("memory", name)
        cpu = (str(self._at("cpuacct", name) / "cpuacct.usage"), "", 1e9) if "cpuacct" in self._mounts else None
        return Membership(
            directories=tuple(str(directory) for directory in directories),
            join=tuple(str(directory / "cgroup.procs") for directory in directories),
            oom=str(memory / "memory.oom_control"),
            oom_event_control=str(memory / "cgroup.event_control"),
            peak=str(memory / "memory.max_usage_in_bytes"),
            cpu=cpu,
            kill_writes=kill_writes(self.directories(name)),
        )

    def usage(self, name: str, limit_bytes: int) -> Usage | None:
        memory = self._at("memory", name)
        used = _number(memory / "memory.usage_in_bytes")
        if used is None:
            return None
        inactive = _keyed(memory / "memory.stat").get("total_inactive_file", 0)
        pids = _number(self._at("pids", name) / "pids.current") if "pids" in self._mounts else None
        cpu_ns = _number(self._at("cpuacct", name) / "cpuacct.usage") if "cpuacct" in self._mounts else None
        return Usage(
            memory_bytes=max(0, used - inactive),
            memory_limit_bytes=limit_bytes,
            memory_peak_bytes=_number(memory / "memory.max_usage_in_bytes"),
            pids=len(members(self.directories(name))) if pids is None else pids,
            cpu_s=(cpu_ns or 0) / 1e9,
            oom_kills=_keyed(memory / "memory.oom_control").get("oom_kill"),
        )

    def cpu_s(self, name: str) -> float | None:
        used_ns = _number(self._at("cpuacct", name) / "cpuacct.usage") if "cpuacct" in self._mounts else None
        return None if used_ns is None else used_ns / 1e9

    def _at(self, controller: str, name: str) -> Path:
        return self._mounts[controller] / GROUP / name

    def _ordered(self) -> list[str]:
        """Memory first, and no directory twice: cpu and cpuacct are often one hierarchy."""
        seen: dict[Path, str] = {}
        for controller in ("memory", "pids", "cpu", "cpuacct"):
            if controller in self._mounts:
                seen.setdefault(self._mounts[controller].resolve(), controller)
        return list(seen.values())


class CgroupsV2(Cgroups):
    """One directory for all controllers, below `top`."""

    version = "v2"

    def __init__(self, top: Path) -> None:
        self._parent = top / GROUP

    def parents(self) -> tuple[Path, ...]:
        return (self._parent,)

    def enable(self) -> bool:
        """Make our parent group and hand the controllers down to it; False where memory cannot be had."""
        try:
            _make(self._parent)
        except OSError:
            return False
        for holder in (self._parent.parent, self._parent):
            for controller in (REQUIRED, "pids", "cpu"):
                with contextlib.suppress(OSError):
                    if controller not in _words(holder / "cgroup.subtree_control"):
                        write_control(holder / "cgroup.subtree_control", f"+{controller}")
        return REQUIRED in _words(self._parent / "cgroup.subtree_control")

    def create(self, name: str, limits: Limits) -> Membership:
        self.enable()
        directory = self._parent / name
        _make(directory)
        write_control(directory / "memory.max", str(limits.memory_bytes))
        if (directory / "memory.swap.max").exists():
            write_control(directory / "memory.swap.max", "0")
        if limits.pids is not None and (directory / "pids.max").exists():
            write_control(directory / "pids.max", str(limits.pids))
        if limits.cpus is not None and (directory / "cpu.max").exists():
            write_control(directory / "cpu.max", f"{_quota_us(limits.cpus)} {CPU_PERIOD_US}")
        return Membership(
            directories=(str(directory),),
            join=(str(directory / "cgroup.procs"),),
            oom=str(directory / "memory.events"),
            oom_event_control=None,
            peak=str(directory / "memory.peak"),
            cpu=(str(directory / "cpu.stat"), "usage_usec", 1e6),
            kill_writes=kill_writes(self.directories(name)),
        )

    def usage(self, name: str, limit_bytes: int) -> Usage | None:
        directory = self._parent / name
        used = _number(directory / "memory.current")
        if used is None:
            return None
        pids = _number(directory / "pids.current")
        return Usage(
            memory_bytes=max(0, used - _keyed(directory / "memory.stat").get("inactive_file", 0)),
            memory_limit_bytes=limit_bytes,
            memory_peak_bytes=_number(directory / "memory.peak"),
            pids=len(members(self.directories(name))) if pids is None else pids,
            cpu_s=_keyed(directory / "cpu.stat").get("usage_usec", 0) / 1e6,
            oom_kills=_keyed(directory / "memory.events").get("oom_kill"),
        )

    def cpu_s(self, name: str) -> float | None:
        used_us = _keyed(self._parent / name / "cpu.stat").get("usage_usec")
        return None if used_us is None else used_us / 1e6


def kill_writes(directories: Sequence[Path]) -> tuple[tuple[str, str], ...]:
    """(file, value) of what kills these groups as a whole, or at least stops them from growing."""
    kill = [directory / "cgroup.kill" for directory in directories]  # v2, since Linux 5.14
    if any(path.exists() for path in kill):
        return tuple((str(path), "1") for path in kill)
    return tuple((str(path), "0") for path in (each / "pids.max" for each in directories) if path.exists())


def members(directories: Sequence[Path]) -> set[int]:
    """The pids in an attempt's groups, as the first hierarchy lists them."""
    found: set[int] = set()
    for place, _, _ in os.walk(directories[0]):
        with contextlib.suppress(OSError):
            found.update(int(pid) for pid in Path(place, "cgroup.procs").read_text().split())
    return found - {0}


def kill_members(directories: Sequence[Path], patience_s: float) -> int:
    """SIGKILL until nobody is left in an attempt's groups; how many were left after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while (left := members(directories)) and time.monotonic() < deadline:
        for path, value in kill_writes(directories):
            with contextlib.suppress(OSError):
                write_control(Path(path), value)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)
    return len(left)


def remove_groups(directories: Sequence[Path], patience_s: float) -> bool:
    """Remove an attempt's groups, which must be empty; False if one is still there after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while sum(_remove_tree(directory) for directory in directories) < len(directories):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def find_cgroups(root: Path, own_path: str) -> Cgroups | None:
    """The hierarchy below `root` in which we may limit memory, or None.

    `own_path` is our own v2 group as ``/proc/self/cgroup`` tells it, such as ``/user.slice/…``.
    """
    unified = next((place for place in (root, root / "unified") if REQUIRED in _controllers(place)), None)
    if unified is not None:
        return _find_v2(unified, own_path)
    mounts = {name: root / name for name in ("memory", "pids", "cpu", "cpuacct") if _may_make_in(root / name)}
    return CgroupsV1(mounts) if REQUIRED in mounts else None


def own_v2_path() -> str:
    """Our group in the unified hierarchy; ``/`` where there is none."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return line.removeprefix("0::")
    return "/"


def _find_v2(unified: Path, own_path: str) -> Cgroups | None:
    place = unified
    for step in ("", *own_path.strip("/").split("/")):
        place = place / step
        if REQUIRED in _controllers(place) and _may_make_in(place):
            found = CgroupsV2(place)
            if found.enable():
                return found
            found.prune()
    return None


def write_control(path: Path, value: str) -> None:
    """Write to a control file that exists; it is never created."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _make(directory: Path) -> None:
    """mkdir with its parent, which another process may prune at the same time."""
    for _ in range(_MAKE_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            directory.parent.mkdir(exist_ok=True)
            directory.mkdir(exist_ok=True)
            return
    directory.mkdir(parents=True, exist_ok=True)


def _remove_tree(directory: Path) -> bool:
    for place, _, _ in os.walk(directory, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(place)
    return not directory.exists()


def _may_make_in(directory: Path) -> bool:
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)


def _quota_us(cpus: float) -> int:
    return max(CPU_QUOTA_MIN_US, round(cpus * CPU_PERIOD_US))


def _controllers(directory: Path) -> list[str]:
    return _words(directory / "cgroup.controllers")


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _keyed(path: Path) -> dict[str, int]:
    """``name number`` lines."""
    words = _words(path)
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=False) if value.isdigit()}
