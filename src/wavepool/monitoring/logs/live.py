"""The output of one attempt for all who follow it: it is read once, and its end is kept in memory.

::

    driver ──▶ Tap ──▶ ring of 1 to 2 MiB ──▶ seat of each viewer ──▶ its connection

A viewer who is slower than the task is overtaken: he is told how much he missed, and goes on near the end. While all
of them are stuck the driver is not read either, so that a task which floods an audience that sleeps costs nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import anyio

from wavepool.errors import WavepoolError, first_of_ours
from wavepool.monitoring.logs.tap import TAIL_BYTES, Rest, Tap

RING_BYTES = 1 << 20
"""At least so much of the end is kept, and at most twice as much."""

TAKEN_BYTES = 256 * 1024
"""That a viewer takes at once."""

GAPS_KEPT = 100

QUIET_S, SETTLING_S = 0.1, 3.0
"""Output that was there before has been read when nothing comes for so long; or after so long, where it never ends."""

STUCK_S = 2.0
"""A viewer whose connection has taken nothing for so long is stuck."""


class Gap(NamedTuple):
    """Output is missing before `offset`, or may be."""

    offset: int
    why: str


Taken = TypeVar("Taken", bytes, Gap)


class LiveLog:
    """A ring that one tap fills.

    Attributes:
        start, end: positions of the first byte that is kept, and behind the last.
        over: no more comes; then `rest` is what the archive has beyond it, and `problem` why it could not be read on.
        settled: what was there before has been read.
    """

    def __init__(self, tap: Tap, clock: Callable[[], float] = time.monotonic) -> None:
        self.end = 0
        self.over = False
        self.rest: Rest | None = None
        self.problem = ""
        self.settled = anyio.Event()
        self._tap = tap
        self._clock = clock
        self._ring = bytearray()
        self._gaps: deque[Gap] = deque(maxlen=GAPS_KEPT)
        self._gap_count = 0
        self._seats: set[Seat] = set()
        self._changed = anyio.Event()
        self._stirred = anyio.Event()

    @property
    def start(self) -> int:
        return self.end - len(self._ring)

    async def run(self) -> None:
        """Read it to its end. Raises nothing: see `problem`."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._settle)
                self.rest = await self._tap.pour(self)
                group.cancel_scope.cancel()
        except* (WavepoolError, OSError) as errors:
            self.problem = str(first_of_ours(errors))
        finally:
            self.over = True
            self.settled.set()
            self._tell()

    async def data(self, piece: bytes) -> None:
        """Of `Basin`."""
        await self._until_read()
        self._ring += piece[-RING_BYTES:]
        self.end += len(piece)
        if len(piece) > RING_BYTES or len(self._ring) > 2 * RING_BYTES:
            del self._ring[:-RING_BYTES]
        self._tell()

    async def gap(self, why: str) -> None:
        """Of `Basin`."""
        self._gaps.append(Gap(self.end, why))
        self._gap_count += 1
        self._tell()

    def take_seat(self, at: int | None) -> Seat:
        """Follow from position `at` on, or from near the end; leave it by `Seat.leave`."""
        begin = self.end - TAIL_BYTES if at is None else self.end + at if at < 0 else at
        seat = Seat(self, min(max(begin, self.start), self.end))
        self._seats.add(seat)
        self._stir()
        return seat

    @property
    def seats(self) -> int:
        """How many follow it."""
        return len(self._seats)

    def leave(self, seat: Seat) -> None:
        """He follows no more."""
        self._seats.discard(seat)
        self._stir()

    async def changed(self) -> None:
        """Wait for more, or for the end."""
        if not self.over:
            await self._changed.wait()

    def part(self, at: int, most: int) -> bytes:
        """At most so many bytes from `at` on, which is not before `start`."""
        begin = at - self.start
        return bytes(memoryview(self._ring)[begin : begin + most])

    def gaps_after(self, number: int) -> list[tuple[int, Gap]]:
        """Those that are kept with a higher number than this, and theirs."""
        first = self._gap_count - len(self._gaps)
        return [(n, gap) for n, gap in enumerate(self._gaps, start=first + 1) if n > number]

    @property
    def gap_count(self) -> int:
        """The number of the last gap."""
        return self._gap_count

    def now_s(self) -> float:
        """Of its clock."""
        return self._clock()

    def stir(self) -> None:
        """One who follows has taken what he was given."""
        self._stir()

    async def _until_read(self) -> None:
        while self._seats and all(seat.is_stuck() for seat in self._seats):
            await self._stirred.wait()

    async def _settle(self) -> None:
        await self._tap.opened.wait()
        with anyio.move_on_after(SETTLING_S):
            while await self._heard_within(QUIET_S):
                pass
        self.settled.set()

    async def _heard_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self.changed()
            return not self.over
        return False

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _stir(self) -> None:
        self._stirred.set()
        self._stirred = anyio.Event()


class Seat:
    """Where one viewer is.

    Attributes:
        at: position of the next byte that he gets.
    """

    def __init__(self, log: LiveLog, at: int) -> None:
        self.at = at
        self._log = log
        self._gaps_seen = max((n for n, gap in log.gaps_after(0) if gap.offset < at), default=0)
        self._given_s: float | None = None

    def take(self) -> bytes | Gap | None:
        """What comes next; None where nothing is there now. What was taken before counts as delivered."""
        self._given_s = None
        self._log.stir()
        if self.at < self._log.start:
            return self._given(self._jumped())
        unseen = self._log.gaps_after(self._gaps_seen)
        if unseen and unseen[0][1].offset <= self.at:
            self._gaps_seen = unseen[0][0]
            return self._given(unseen[0][1])
        most = min(TAKEN_BYTES, unseen[0][1].offset - self.at) if unseen else TAKEN_BYTES
        data = self._log.part(self.at, most)
        self.at += len(data)
        return self._given(data) if data else None

    def is_stuck(self) -> bool:
        """True where he has not yet delivered what he took long ago."""
        return self._given_s is not None and self._log.now_s() - self._given_s > STUCK_S

    def leave(self) -> None:
        """Give it up."""
        self._log.leave(self)

    def _given(self, what: Taken) -> Taken:
        self._given_s = self._log.now_s()
        return what

    def _jumped(self) -> Gap:
        target = max(self._log.start, self._log.end - TAIL_BYTES)
        missed = target - self.at
        self.at = target
        self._gaps_seen = max(
            (n for n, gap in self._log.gaps_after(0) if gap.offset <= target), default=self._gaps_seen
        )
        return Gap(target, f"{missed} bytes are left out here: they came faster than they could be shown")
