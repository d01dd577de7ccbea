"""Who holds a pipe open: what a check has left running may have left its process group, and still has its output."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence


def end_holders(pipes: Sequence[int]) -> list[str]:
    """SIGKILL for every other process that has one of these pipes open; the names of those, with their pids.

    Args:
        pipes: descriptors of ours.
    """
    inodes = {os.fstat(pipe).st_ino for pipe in pipes}
    targets = {f"pipe:[{inode}]" for inode in inodes}
    ended: list[str] = []
    for pid in _others():
        if targets & set(_open_files(pid)):
            name = _name(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended.append(f"{name} ({pid})")
    return ended


def _others() -> Iterator[int]:
    own = os.getpid()
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != own)


def _open_files(pid: int) -> Iterator[str]:
    """Where its descriptors lead; nothing of what has ended, or belongs to another user."""
    try:
        entries = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for entry in entries:
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/{pid}/fd/{entry}")


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "a process"
