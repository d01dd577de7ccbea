"""Gathers what the watchdog reads, and writes it down: seldom, in a thread, and never in the way of the run.

A stretch is written when it is as long as its share of what was recorded before it: 2 s at the beginning, 60 s after
hours. A writer that is killed takes with it what it gathered for the stretches that it had open.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import anyio
import structlog
from anyio import to_thread
from anyio.abc import TaskStatus

from wavepool.drivers.base import Usage
from wavepool.engine.clock import Clock
from wavepool.engine.usage.record import (
    ATTEMPTS,
    GROWTH_BYTES,
    UsageFile,
    attempt_line,
    name_line,
    run_line,
)
from wavepool.engine.usage.series import Stretch
from wavepool.model import AttemptId

SHORTEST_S, LONGEST_S = 2.0, 60.0
"""Of a stretch that is written."""

RUN_SHARE, ATTEMPT_SHARE = 256, 16
"""The inverse of what one stretch has of the time before it."""

FIRST_S = 1.0
"""What a first reading stands for: as long as the watchdog waits between two."""

FLUSH_FIRST_S, FLUSH_LAST_S, FLUSH_SHARE = 2.0, 30.0, 100
"""Between two writes, likewise."""

Answer = TypeVar("Answer")

_log = structlog.get_logger(__name__)


class _Pen:
    """One stretch that is not over, and those that wait to be written."""

    __slots__ = ("_began_s", "_open", "_share", "limit_bytes", "number", "waiting")

    def __init__(self, share: int, number: int = 0, limit_bytes: int = 0) -> None:
        self.number = number
        self.limit_bytes = limit_bytes
        self.waiting: list[Stretch] = []
        self._share = share
        self._open: Stretch | None = None
        self._began_s: float | None = None

    def take(self, stretch: Stretch) -> None:
        """The next reading."""
        if self._began_s is None:
            self._began_s = stretch.begin_s
        self._open = stretch if self._open is None else self._open.with_next(stretch)
        whole_s = (stretch.end_s - self._began_s) / self._share
        if self._open.end_s - self._open.begin_s >= min(max(SHORTEST_S, whole_s), LONGEST_S):
            self.close()

    def close(self) -> None:
        """What follows is another stretch."""
        if self._open is not None:
            self.waiting.append(self._open)
            self._open = None

    def taken(self) -> list[Stretch]:
        """What is to be written now."""
        waiting, self.waiting = self.waiting, []
        return waiting


class UsageRecorder:
    """Of one run, in the process that holds it; one `run` for each.

    Args:
        path: of the file; its directory exists.
        clock: tells the time.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._file = UsageFile(path, clock.now().utc.timestamp())
        self._together = _Pen(RUN_SHARE)
        self._pens: dict[AttemptId, _Pen] = {}
        self._over: list[tuple[AttemptId, _Pen]] = []
        """Attempts that have ended, until they are written."""
        self._cpu_s: dict[AttemptId, float] = {}
        self._named: set[int] = set()
        """Numbers that the file knows since it was written anew."""
        self._next_number = 0
        self._heard_s: float | None = None
        self._adopting = True
        """What runs at the first look may have run before it, unseen."""
        self._failing = False

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Write until this is cancelled; then what is left. Started once the file of an earlier process was read."""
        began_s = anyio.current_time()
        try:
            await self._begin()
            task_status.started()
            while True:
                passed_s = anyio.current_time() - began_s
                await anyio.sleep(min(max(FLUSH_FIRST_S, passed_s / FLUSH_SHARE), FLUSH_LAST_S))
                await self._flush()
        finally:
            with anyio.CancelScope(shield=True):
                self._close_all()
                await self._flush()

    def hear(self, running: Collection[AttemptId], readings: Mapping[AttemptId, Usage]) -> None:
        """One look at all that runs; a few microseconds for each. What was not read this time is a gap."""
        now = self._clock.now()
        passed_s = FIRST_S if self._heard_s is None else now.boot_s - self._heard_s
        self._heard_s = now.boot_s
        if not 0 < passed_s <= LONGEST_S:  # this machine slept, or nobody could look
            self._gap()
            passed_s = FIRST_S
        self._end_but(running)
        if not running:
            self._adopting = False  # whatever runs from now on began under our eyes
        if not readings:
            self._gap()
            return
        end_s = now.utc.timestamp()
        memory_bytes, cpu_s = 0, 0.0
        for attempt, usage in readings.items():
            used_s = self._used_s(attempt, usage)
            memory_bytes, cpu_s = memory_bytes + usage.memory_bytes, cpu_s + used_s
            pen = self._pen(attempt, usage)
            if pen is not None:
                pen.take(_stretch(end_s, passed_s, usage.memory_bytes, used_s, 1))
        self._together.take(_stretch(end_s, passed_s, memory_bytes, cpu_s, len(running)))
        self._adopting = False

    # -- gathering --

    def _used_s(self, attempt: AttemptId, usage: Usage) -> float:
        before_s = self._cpu_s.get(attempt, usage.cpu_s if self._adopting else 0.0)
        self._cpu_s[attempt] = usage.cpu_s
        return max(0.0, usage.cpu_s - before_s)

    def _pen(self, attempt: AttemptId, usage: Usage) -> _Pen | None:
        """None where so many run already that no more can be kept apart."""
        pen = self._pens.get(attempt)
        if pen is None and len(self._pens) < ATTEMPTS:
            pen = self._pens[attempt] = _Pen(ATTEMPT_SHARE, self._next_number, usage.memory_limit_bytes)
            self._next_number += 1
        return pen

    def _gap(self) -> None:
        self._together.close()
        for pen in self._pens.values():
            pen.close()

    def _end_but(self, running: Collection[AttemptId]) -> None:
        for attempt in [each for each in self._pens if each not in running]:
            pen = self._pens.pop(attempt)
            pen.close()
            self._over.append((attempt, pen))
        del self._over[:-ATTEMPTS]  # nothing could be written for long; no file keeps more
        if len(self._cpu_s) > len(running):
            self._cpu_s = {each: cpu_s for each, cpu_s in self._cpu_s.items() if each in running}

    def _close_all(self) -> None:
        self._end_but(())
        self._together.close()

    # -- writing --

    async def _begin(self) -> None:
        record = await self._attempted(self._file.write_anew)
        for attempt, usage in ({} if record is None else record.attempts).items():
            whole = usage.series.whole()
            self._cpu_s[attempt] = 0.0 if whole is None else whole.cpu_s

    async def _flush(self) -> None:
        """What cannot be written is lost, but for what is in the file already."""
        if self._failing or self._file.since_anew > GROWTH_BYTES:
            self._named.clear()
            if await self._attempted(self._file.write_anew) is None:
                return
        together, parts = self._together.taken(), list(self._parts())
        self._over.clear()
        if together or parts:
            await self._attempted(partial(self._write, together, parts))

    def _parts(self) -> Iterator[tuple[_Part, list[Stretch]]]:
        for attempt, pen in (*self._over, *self._pens.items()):
            stretches = pen.taken()
            if stretches:
                yield _Part(attempt, pen.number, pen.limit_bytes, pen.number not in self._named), stretches
                self._named.add(pen.number)

    def _write(self, together: Iterable[Stretch], parts: Iterable[tuple[_Part, list[Stretch]]]) -> bool:
        since_s = self._file.since_s
        lines = [run_line(each, since_s) for each in together]
        for part, stretches in parts:
            if part.new:
                lines.append(name_line(part.number, part.attempt, part.limit_bytes))
            lines += (attempt_line(part.number, each, since_s) for each in stretches)
        self._file.append(lines)
        return True

    async def _attempted(self, write: Callable[[], Answer]) -> Answer | None:
        """In a thread, to its end. None where it failed, which is logged once for each series of failures."""
        try:
            with anyio.CancelScope(shield=True):
                answer = await to_thread.run_sync(write)
        except OSError as error:
            if not self._failing:
                _log.warning("what the run uses cannot be written down", problem=str(error))
            self._failing = True
            return None
        self._failing = False
        return answer


class _Part(NamedTuple):
    """An attempt that something is written of; `new` where the file does not know its number yet."""

    attempt: AttemptId
    number: int
    limit_bytes: int
    new: bool


def _stretch(end_s: float, passed_s: float, memory_bytes: int, cpu_s: float, attempts: int) -> Stretch:
    return Stretch(end_s - passed_s, end_s, passed_s, memory_bytes, memory_bytes * passed_s, cpu_s, attempts)
