"""Which process is meant, whether it still lives, and what an attempt left behind.

A pid alone is never trusted: it is used again. With its start time and the boot it names one process for good.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from wavepool.drivers.boot import boot_id

ATTEMPT_VARIABLE = "WAVEPOOL_ATTEMPT"
"""In the environment of every task and so of all that it leaves behind: the attempt's derived name."""

_SETTLE_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process for good: pid, start in clock ticks since boot, and the boot."""

    pid: int
    ticks: int
    boot_id: str

    def is_alive(self) -> bool:
        """False for a zombie, for another process of the same pid, and after a reboot."""
        stat = _stat(self.pid)
        return stat is not None and stat[0] not in "ZX" and stat[1] == self.ticks and self.boot_id == boot_id()

    def open_pidfd(self) -> int | None:
        """A descriptor that polls as readable when it ends; None if it has ended, or where there is no such thing.

        Raises:
            OSError: out of descriptors, or a kernel before 5.3.
        """
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if self.is_alive():  # now that it is held, the pid cannot pass to another
            return fd
        os.close(fd)
        return None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it has ended."""
        try:
            fd = self.open_pidfd()
        except OSError:
            if self.is_alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)
            return
        if fd is not None:
            try:
                signal.pidfd_send_signal(fd, number)
            except ProcessLookupError:
                pass
            finally:
                os.close(fd)

    def reap(self) -> None:
        """Collect it where it was handed down to us (we are a container's first process, or a subreaper)."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)


def own_identity() -> ProcessIdentity:
    """This process."""
    stat = _stat(os.getpid())
    return ProcessIdentity(pid=os.getpid(), ticks=stat[1] if stat else 0, boot_id=boot_id())


def kill_marked(name: str, patience_s: float) -> int:
    """SIGKILL to every process that carries the attempt's name in its environment; how many were left at the end.

    For an attempt whose supervisor has vanished. One that has wiped its environment is found by its cgroup only.
    """
    deadline = time.monotonic() + patience_s
    while (marked := _marked(name)) and time.monotonic() < deadline:
        for pid in marked:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_SETTLE_S)
    return len(marked)


def _marked(name: str) -> list[int]:
    needle = f"{ATTEMPT_VARIABLE}={name}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                environment = Path("/proc", entry, "environ").read_bytes()
            except OSError:
                continue
            if needle in environment.split(b"\0"):
                found.append(int(entry))
    return found


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and start in ticks; None if there is no such process."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[19])
