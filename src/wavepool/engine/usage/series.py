"""Readings over time as stretches, never more than so many: they get longer as time goes on, and keep their peaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

FIRST_WIDTH_S = 2.0
"""Shorter stretches are put together at once; doubled each time that there are too many."""


class Stretch(NamedTuple):
    """What was read in a stretch of time, of one attempt or of all together.

    `begin_s`, `end_s` are seconds since the epoch; for `read_s` of them somebody looked. `memory_peak_bytes` is the
    highest reading; `memory_byte_s` sums readings times the time they stand for; `cpu_s` is CPU time that was used;
    `attempts` the most that were read at once.
    """

    begin_s: float
    end_s: float
    read_s: float
    memory_peak_bytes: int
    memory_byte_s: float
    cpu_s: float
    attempts: int = 1

    def with_next(self, later: Stretch) -> Stretch:
        """This and a later one as one."""
        return Stretch(
            self.begin_s,
            max(self.end_s, later.end_s),
            self.read_s + later.read_s,
            max(self.memory_peak_bytes, later.memory_peak_bytes),
            self.memory_byte_s + later.memory_byte_s,
            self.cpu_s + later.cpu_s,
            max(self.attempts, later.attempts),
        )

    @property
    def cpu_percent(self) -> float | None:
        """Of one core, over the time that was looked at; None where that is nothing."""
        return 100 * self.cpu_s / self.read_s if self.read_s > 0 else None

    @property
    def memory_mean_bytes(self) -> int | None:
        """Over the time that was looked at; None where that is nothing."""
        return round(self.memory_byte_s / self.read_s) if self.read_s > 0 else None


class Series:
    """Stretches in the order of time, none over another.

    Each but single ones that came so long is at most `width_s` long, gaps within it included. Where there are more than
    `most`, the width doubles until half as many are left, and one. So peaks and sums stay what they were; only when
    they were gets less exact.

    Args:
        most: stretches that are kept, at least 2.
    """

    __slots__ = ("_most", "_stretches", "width_s")

    def __init__(self, most: int) -> None:
        self.width_s = FIRST_WIDTH_S
        self._most = most
        self._stretches: list[Stretch] = []

    def __iter__(self) -> Iterator[Stretch]:
        return iter(self._stretches)

    def __len__(self) -> int:
        return len(self._stretches)

    def add(self, stretch: Stretch) -> None:
        """Take in what came next. Amortised O(1). Where a clock was put back, it follows the one before at once."""
        if self._stretches:
            end_s = self._stretches[-1].end_s
            begin_s = max(stretch.begin_s, end_s)
            stretch = stretch._replace(begin_s=begin_s, end_s=max(stretch.end_s, begin_s))
        self._put(stretch)
        while len(self._stretches) > self._most:
            self._thin()

    def whole(self) -> Stretch | None:
        """All as one; None where nothing was read."""
        found = self._stretches[0] if self._stretches else None
        for each in self._stretches[1:]:
            assert found is not None
            found = found.with_next(each)
        return found

    def _put(self, stretch: Stretch) -> None:
        if self._stretches and stretch.end_s - self._stretches[-1].begin_s <= self.width_s:
            self._stretches[-1] = self._stretches[-1].with_next(stretch)
        else:
            self._stretches.append(stretch)

    def _thin(self) -> None:
        while len(self._stretches) > self._most // 2 + 1:
            self.width_s *= 2
            stretches, self._stretches = self._stretches, []
            for each in stretches:
                self._put(each)


def series_of(stretches: Iterable[Stretch], most: int) -> Series:
    """A series of these, in their order."""
    found = Series(most)
    for each in stretches:
        found.add(each)
    return found
