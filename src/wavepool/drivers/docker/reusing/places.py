"""Where a task in a container with a read-only root can leave something: read off the container's own mounts.

The kernel's list (proc(5), /proc/PID/mountinfo) and not what was asked for: an image can bring volumes of its own, and
the engine mounts some file systems unasked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_KERNEL = frozenset({"proc", "sysfs", "cgroup", "cgroup2", "devpts", "devtmpfs"})
"""Interfaces of the kernel; what a user without capabilities can write to in them belongs to his processes."""
_MEMORY = frozenset({"tmpfs", "mqueue"})
_OF_THE_ENGINE = frozenset({"/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"})
"""Root's, so that a task, which is never root, cannot write to them."""
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory that is empty between two tasks, but for `kept`: paths on the way to other mounts.

    `is_root`: of a mount; others are directories that the engine made on the way, and root's.
    """

    path: str
    kept: tuple[str, ...] = ()
    is_root: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mount:
    target: str
    kind: str
    writable: bool


def places_of(mountinfo: str, *, work: str, shared: Collection[str]) -> tuple[Place, ...]:
    """All places to wipe.

    Args:
        mountinfo: of a process of the container.
        work: where the directory of the slot is mounted that is wiped; empty for none.
        shared: mounts that tasks share because somebody wants it so; they are left alone.

    Raises:
        ValueError: something is writable that cannot be wiped; the message is the end of a sentence.
    """
    mounts = list(_mounts(mountinfo))
    wiped = [mount.target for mount in mounts if _is_wiped(mount, work, shared)]
    targets = [mount.target for mount in mounts]
    return tuple(place for target in wiped for place in _with_inner(target, targets))


def _is_wiped(mount: _Mount, work: str, shared: Collection[str]) -> bool:
    if not mount.writable or mount.kind in _KERNEL or mount.target in shared or mount.target in _OF_THE_ENGINE:
        return False
    if mount.target.startswith(("/proc/", "/sys/")):  # the engine hides files there behind its own /dev/null
        return False
    if mount.target == "/":
        raise ValueError("its root file system can be written to")
    if mount.target == work or mount.kind in _MEMORY:
        return True
    raise ValueError(f"{mount.target} can be written to, and is no directory in memory: a volume of its image, perhaps")


def _with_inner(target: str, targets: list[str]) -> Iterator[Place]:
    """A mount's root, and each directory in it that leads to another mount."""
    kept: dict[str, set[str]] = {target: set()}
    for inner in targets:
        if not inner.startswith(f"{target}/") or _nearest(inner, targets) != target:
            continue
        path = inner
        while path != target:
            parent = path.rpartition("/")[0]
            kept.setdefault(parent, set()).add(path)
            path = parent
    for path, ways in kept.items():
        yield Place(path=path, kept=tuple(sorted(ways)), is_root=path == target)


def _nearest(path: str, targets: list[str]) -> str:
    """The mount that the directory above `path` lies on."""
    return max((each for each in targets if path.startswith(f"{each}/")), key=len, default="/")


def _mounts(mountinfo: str) -> Iterator[_Mount]:
    """One for each mount point: the one on top."""
    found: dict[str, _Mount] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        target = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
        writable = "rw" in fields[5].split(",") and "rw" in rest[-1].split(",")
        found[target] = _Mount(target=target, kind=rest[0], writable=writable)
    yield from found.values()
