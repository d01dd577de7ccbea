"""Who holds a pipe open: what a check has left running may have left its process group, and still has its output."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence

GONE_S = 2.0
"""How long the dying are waited for."""
LOOK_S = 0.01


def end_holders(pipes: Sequence[int]) -> list[str]:
    """SIGKILL for every other process that has one of these pipes open, until there is none; their names and pids.

    Blocks for up to `GONE_S`: what belongs to another user stays.

    Args:
        pipes: descriptors of ours.
    """
    targets = {f"pipe:[{os.fstat(pipe).st_ino}]" for pipe in pipes}
    ended: dict[int, str] = {}
    until_s = time.monotonic() + GONE_S
    while holders := [pid for pid in _others() if targets & set(_open_files(pid))]:
        for pid in holders:
            name = _name(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended.setdefault(pid, f"{name} ({pid})")
        if time.monotonic() > until_s:
            break
        time.sleep(LOOK_S)
    return list(ended.values())


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
