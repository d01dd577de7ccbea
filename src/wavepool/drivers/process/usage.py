"""What running attempts use: by their control groups, else by all processes below their supervisors.

Everything here blocks for a moment, and is called in worker threads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wavepool.drivers.base import Usage
from wavepool.drivers.process.cgroups import Cgroups
from wavepool.drivers.process.records import Record, Records

REUSED, IDLE_CPU_S = 29, 0.001
"""Where less CPU time was used since the last whole reading nothing of consequence has changed: that one holds, for at
most so many times."""

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class _Seen:
    """The last reading of one attempt, and how often it has held."""

    __slots__ = ("record", "reused", "usage")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.usage: Usage | None = None
        self.reused = 0


class Readings:
    """Readings of many attempts at once. What is remembered of one is dropped when it has ended."""

    def __init__(self, records: Records, cgroups: Cgroups | None) -> None:
        self._records = records
        self._cgroups = cgroups
        self._seen: dict[str, _Seen] = {}

    def read(self, names: Iterable[str]) -> dict[str, Usage]:
        """A reading of each that runs."""
        found: dict[str, Usage] = {}
        bare: list[Record] = []
        for name in names:
            seen = self._running(name)
            if seen is None:
                continue
            if not seen.record.cgroups:
                bare.append(seen.record)
                continue
            usage = self._of_group(seen)
            if usage is not None and usage.pids > 0:
                found[name] = usage
        if bare:
            found |= self._below_supervisors(bare)
        return found

    def _running(self, name: str) -> _Seen | None:
        if self._records.exit(name) is not None:
            self._seen.pop(name, None)
            return None
        seen = self._seen.get(name)
        if seen is None:
            record = self._records.read(name)
            if record is None:
                return None
            seen = self._seen[name] = _Seen(record)
        return seen

    def _of_group(self, seen: _Seen) -> Usage | None:
        if self._cgroups is None:
            return None
        name, last = seen.record.name, seen.usage
        cpu_s = self._cgroups.cpu_s(name)
        quiet = last is not None and cpu_s is not None and cpu_s - last.cpu_s < IDLE_CPU_S
        if quiet and seen.reused < REUSED:
            seen.reused += 1
            return last
        seen.usage, seen.reused = self._cgroups.usage(name, seen.record.memory_bytes), 0
        if seen.usage is None:
            self._seen.pop(name, None)  # removed meanwhile
        return seen.usage

    def _below_supervisors(self, records: Iterable[Record]) -> dict[str, Usage]:
        processes = _all_processes()
        children: dict[int, list[int]] = {}
        for pid, process in processes.items():
            children.setdefault(process.parent, []).append(pid)
        found: dict[str, Usage] = {}
        for record in records:
            mark = self._records.mark(record.name)
            if mark is None or mark.supervisor is None or not mark.supervisor.is_alive():
                continue
            usage = _sum_below(mark.supervisor.pid, processes, children, record.memory_bytes)
            if usage.pids > 0:
                found[record.name] = usage
        return found


class _Process(NamedTuple):
    parent: int
    threads: int
    rss_bytes: int
    cpu_s: float


def _all_processes() -> dict[int, _Process]:
    """One pass over /proc: a scan for each attempt would cost milliseconds each."""
    found: dict[int, _Process] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:  # it has ended
            continue
        found[int(entry)] = _Process(
            parent=int(fields[1]),
            threads=int(fields[17]),
            rss_bytes=int(fields[21]) * _PAGE_BYTES,
            cpu_s=sum(map(int, fields[11:15])) / _TICKS,  # its own, and that of children it has waited for
        )
    return found


def _sum_below(
    top: int, processes: Mapping[int, _Process], children: Mapping[int, list[int]], limit_bytes: int
) -> Usage:
    """The sum over all descendants of `top`; shared pages are counted in each."""
    memory_bytes, pids, cpu_s = 0, 0, 0.0
    waiting = list(children.get(top, ()))
    while waiting:
        pid = waiting.pop()
        process = processes[pid]
        memory_bytes += process.rss_bytes
        pids += process.threads
        cpu_s += process.cpu_s
        waiting += children.get(pid, ())
    return Usage(
        memory_bytes=memory_bytes, memory_limit_bytes=limit_bytes, memory_peak_bytes=None, pids=pids, cpu_s=cpu_s
    )
