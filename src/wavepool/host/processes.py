"""Processes of this host, whoever's they are, looked at again and again."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

_CONTAINER = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessReading:
    """One process now. `cpu_percent` is of one core, since the look before; 0 at the first."""

    name: str
    command: tuple[str, ...]
    status: str
    cpu_percent: float
    memory_bytes: int


class HostProcess:
    """One process; its number is another's once it has ended, which `is_the_same` tells.

    Attributes:
        created_at: when it began; None where it had ended before it was looked at.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.created_at: datetime | None = None
        self._process: psutil.Process | None = None
        with suppress(psutil.Error):
            self._process = psutil.Process(pid)
            self.created_at = datetime.fromtimestamp(self._process.create_time(), UTC)

    def is_the_same(self) -> bool:
        """False where it has ended."""
        return self._process is not None and self._process.is_running()

    def read(self) -> ProcessReading | None:
        """As it is now; None where it has ended."""
        if self._process is None:
            return None
        try:
            with self._process.oneshot():
                return ProcessReading(
                    name=self._process.name(),
                    command=tuple(self._process.cmdline()),
                    status=self._process.status(),
                    cpu_percent=round(self._process.cpu_percent(None), 1),
                    memory_bytes=self._process.memory_info().rss,
                )
        except (psutil.Error, OSError):
            return None

    def command(self) -> tuple[str, ...]:
        """Its command line; empty where it has ended, or has none."""
        try:
            return () if self._process is None else tuple(self._process.cmdline())
        except (psutil.Error, OSError):
            return ()

    def uid(self) -> int | None:
        """Whose it is; None where it has ended."""
        try:
            return None if self._process is None else int(self._process.uids().real)
        except (psutil.Error, OSError):
            return None


class HostProcesses:
    """All processes; each is opened once, so that its CPU time is told from one look to the next. Blocks."""

    def __init__(self) -> None:
        self._known: dict[int, HostProcess] = {}

    def look(self) -> list[HostProcess]:
        """Those that there are now: the same objects for those that there were before."""
        self._known = {pid: self._same_or_new(pid) for pid in psutil.pids()}
        return list(self._known.values())

    def _same_or_new(self, pid: int) -> HostProcess:
        known = self._known.get(pid)
        return known if known is not None and known.is_the_same() else HostProcess(pid)


def container_of(pid: int, proc: Path = Path("/proc")) -> str | None:
    """The id of the container that a process runs in, by its cgroup; None for none, or where it has ended."""
    try:
        found = _CONTAINER.search((proc / str(pid) / "cgroup").read_text())
    except OSError:
        return None
    return None if found is None else found[0]
