"""Containers whose start a restart of the daemon cut in two: it lists them as created, yet a process of theirs exists.

Such a one can never be started ("task ... already exists", API 1.41, 20.10), nor does its removal end the process.
Mostly that is runc's init, which waits for a word that never comes: then the program never ran.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from pathlib import Path

from wavepool.drivers.docker.usage.reading import CGROUP_ROOT, cgroup_version, usual_paths

_RUNC_INIT = re.compile(r"runc:\[\d:INIT\]")


def clear_unborn(container_id: str, *, root: Path = CGROUP_ROOT, proc: Path = Path("/proc")) -> bool:
    """True where the program of a wreck certainly never ran; what waited in its place is ended, if we may.

    Certain is it only where its cgroup is on this host and holds nothing but runc's init.
    """
    pids = _pids(container_id, root)
    if not pids or not all(_RUNC_INIT.fullmatch(_comm(pid, proc)) for pid in pids):
        return False
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return True


def _pids(container_id: str, root: Path) -> list[int]:
    controller = "" if cgroup_version(root) == 2 else "pids"
    for path in usual_paths(container_id):
        with contextlib.suppress(OSError):
            return [int(pid) for pid in (root / controller / path / "cgroup.procs").read_text().split()]
    return []


def _comm(pid: int, proc: Path) -> str:
    try:
        return (proc / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""
