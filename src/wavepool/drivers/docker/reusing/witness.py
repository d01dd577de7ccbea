"""What the host sees of a reused container, past all that a task inside could have done to its shell.

A task has the same user as the shell. It cannot signal, trace or read it (`runner`), but Linux lets it change the
shell's limits, priority and processors, which later tasks would inherit. That, and how many processes there are, is
read here from the kernel's own files, through descriptors held open; one look takes some hundred microseconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from wavepool.drivers.docker.usage.reading import CGROUP_ROOT, OomCounter, cgroup_version, path_of_process, usual_paths
from wavepool.errors import CannotPark, NotStarted

PROC = Path("/proc")
_READ_BYTES = 1 << 16
_FILES = {
    "limits": "its resource limits",
    "stat": "its priority",
    "status": "its processors, or its umask",
    "mountinfo": "its mounts",
}
_UNSEEN = (CannotPark, PermissionError, FileNotFoundError)
"""Of a container that runs it will be so again; all else (no descriptors left, an end just now) passes."""
_STATUS = (b"Umask:", b"TracerPid:", b"Uid:", b"Cpus_allowed:", b"Mems_allowed:")
_PRIORITY = (15, 16, 37, 38)
"""priority, nice, rt_priority and policy in what follows the command's name in /proc/PID/stat, from 0."""


class Witness:
    """Looks at one container whose shell is process `pid` of this host. Close it."""

    def __init__(self, container_id: str, pid: int, *, proc: Path = PROC, root: Path = CGROUP_ROOT) -> None:
        """Open the kernel's files of that process and its cgroup.

        Raises:
            CannotPark: they are not to be seen here: unless it has ended, it cannot be looked at from outside.
            NotStarted: they could not be opened now.
        """
        self._process = proc / str(pid)
        self._closing = ExitStack()
        try:
            if container_id not in (self._process / "cgroup").read_text():
                raise CannotPark(f"process {pid} of this host is none of container {container_id[:12]}")
            self._files = {name: self._open(self._process / name) for name in _FILES}
            self._pids = self._open(_pids_file(container_id, pid, root))
            self._oom = OomCounter.find(container_id, root=root)
        except (OSError, CannotPark) as error:
            self._closing.close()
            words = f"reuse must see its containers from outside, and cannot: {error}"
            if isinstance(error, _UNSEEN):
                raise CannotPark(words) from error
            raise NotStarted(words, transient=True) from error
        if self._oom is not None:
            self._closing.callback(self._oom.close)
        self._before: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptors back. Safe to repeat."""
        self._closing.close()

    def mounts(self) -> str:
        """Its /proc/PID/mountinfo. Raises OSError: it has ended."""
        return os.fsdecode(_whole(self._files["mountinfo"]))

    def is_sealed(self) -> bool:
        """Whether its memory and descriptors are closed to processes of its own user. Raises OSError: it has ended."""
        uids = next(line for line in _whole(self._files["status"]).splitlines() if line.startswith(b"Uid:"))
        return (self._process / "environ").stat().st_uid != int(uids.split()[1])

    def note(self) -> None:
        """Take what is there now for what is right. Raises OSError: it has ended."""
        self._before = dict(self._read())

    def look(self) -> str:
        """What a task has left or changed, for the end of a sentence; empty where nothing is.

        Raises:
            OSError: the container has ended.
        """
        count = int(os.pread(self._pids, 32, 0))
        if count != 1:
            return f"it left {count - 1} processes"
        for name, now in self._read():
            if now != self._before[name]:
                return f"it changed the shell: {_FILES[name]}"
        return ""

    def oom_kills(self) -> int | None:
        """Memory kills in the container so far; None where they are not counted, or it has ended."""
        try:
            return self._oom.read() if self._oom is not None else None
        except OSError:
            return None

    def _open(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._closing.callback(os.close, descriptor)
        return descriptor

    def _read(self) -> Iterator[tuple[str, bytes]]:
        for name, descriptor in self._files.items():
            raw = _whole(descriptor)
            if name == "stat":
                fields = raw.rpartition(b") ")[2].split()
                raw = b" ".join(fields[each] for each in _PRIORITY)
            elif name == "status":
                raw = b"\n".join(line for line in raw.splitlines() if line.startswith(_STATUS))
            yield name, raw


def _pids_file(container_id: str, pid: int, root: Path) -> Path:
    controller = "" if cgroup_version(root) == 2 else "pids"
    paths = (*usual_paths(container_id), path_of_process(pid))
    files = [root / controller / path / "pids.current" for path in paths if path is not None]
    found = next((file for file in files if file.exists()), None)
    if found is None:
        raise FileNotFoundError(f"there is no count of the processes of container {container_id[:12]}")
    return found


def _whole(descriptor: int) -> bytes:
    """A file of /proc from its start; empty and gone are told apart by the kernel. Raises OSError."""
    pieces: list[bytes] = []
    while piece := os.pread(descriptor, _READ_BYTES, sum(map(len, pieces))):
        pieces.append(piece)
    if not pieces:
        raise ProcessLookupError("the process has ended")
    return b"".join(pieces)
