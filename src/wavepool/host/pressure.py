"""The pressure on this host: Linux tells it in /proc/pressure (PSI), elsewhere what is in use has to do.

https://docs.kernel.org/accounting/psi.html: ``some`` is the part of the time in which at least one process could not
go on for lack of the resource; ``total`` counts that time in microseconds since the host's start. Its averages look
back for 10 s and longer, so the growth of ``total`` between two readings is what tells of now.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from wavepool.host.cpu import CpuMeter
from wavepool.model import Pressure

PRESSURE_ROOT = Path("/proc/pressure")
SHORT_S = 0.2
"""Over a shorter time than this the growth says little: then the kernel's average of the last 10 s counts."""


class PressureGauge:
    """Reads the pressure, each time since the reading before. Each takes a fraction of a millisecond.

    Args:
        root: where the kernel tells of pressure.
        monotonic_s: the clock that the growth is held against.
        used: (CPU, memory) in use, in percent.
    """

    def __init__(
        self,
        root: Path = PRESSURE_ROOT,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        used: Callable[[], tuple[float, float]] | None = None,
    ) -> None:
        self._root = root
        self._monotonic_s = monotonic_s
        self._used = used or _InUse()
        self._last: dict[str, tuple[float, int]] = {}
        for resource in ("cpu", "memory", "io"):
            self._stalled(resource)

    def read(self) -> Pressure:
        """Now.

        Raises:
            OSError: nothing of it can be read.
        """
        cpu, memory = self._used()
        return Pressure(
            cpu_stalled=self._stalled("cpu"),
            memory_stalled=self._stalled("memory"),
            io_stalled=self._stalled("io"),
            cpu_used=cpu,
            memory_used=memory,
        )

    def _stalled(self, resource: str) -> float | None:
        some = read_some(self._root / resource)
        if some is None:
            self._last.pop(resource, None)
            return None
        now_s = self._monotonic_s()
        before_s, before_us = self._last.get(resource, (now_s, some.total_us))
        passed_s = now_s - before_s
        if resource in self._last and passed_s < SHORT_S:
            return some.average
        self._last[resource] = (now_s, some.total_us)
        if passed_s < SHORT_S:
            return some.average
        return min(100.0, max(0.0, (some.total_us - before_us) / passed_s / 10_000))


class Some(NamedTuple):
    """The line ``some`` of one resource: percent of the last 10 s, and microseconds since the host's start."""

    average: float
    total_us: int


def read_some(path: Path) -> Some | None:
    """What a file of /proc/pressure says; None where there is none, or none that can be understood.

    A kernel that was started with ``psi=0`` has the files, and refuses to have them read.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        kind, *fields = line.split()
        values = dict(field.partition("=")[::2] for field in fields)
        if kind == "some":
            try:
                return Some(float(values["avg10"]), int(values["total"]))
            except (KeyError, ValueError):
                return None
    return None


class _InUse:
    def __init__(self) -> None:
        self._cpu = CpuMeter()

    def __call__(self) -> tuple[float, float]:
        return self._cpu.read(), psutil.virtual_memory().percent
