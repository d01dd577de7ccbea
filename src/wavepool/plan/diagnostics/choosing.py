"""Which of the readers a line goes to (decision 30)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from wavepool.model.diagnostics import Found
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.signs import Signs

IDLE_MAX: Final = 1000
"""After so many lines in a row that are not of the reader that reads, it has to take over again by a sign."""

FEW: Final = 6
"""After so many lines in a row that are not of the reader that reads, signs are looked for in many lines at once."""


class LineReading:
    """Gives each line to the reader that reads, and what that does not claim to the others: whoever claims takes over.

    The one before is ended, and keeps what it needs to take over again. A line is offered to those only whose signs it
    has, so that noise costs little.
    """

    def __init__(self, readers: Sequence[LineReader]) -> None:
        """Args: `readers`: the most specific first. Those that are `last` come after the others."""
        self._readers = sorted(readers, key=lambda reader: reader.last)
        self._signs = Signs([reader.signs for reader in self._readers])
        self._reads: LineReader | None = None
        self._idle = 0
        """How many lines in a row were not claimed by it."""

    def read(self, lines: Sequence[str]) -> list[Found]:
        """What is complete with these lines."""
        found: list[Found] = []
        signed: dict[int, set[int]] = {}
        first = after = 0
        for place, line in enumerate(lines):
            reads = self._reads
            if reads is not None and not reads.last and (claimed := reads.read(line)) is not None:
                self._idle = 0
                found.extend(claimed)
                continue
            if place >= after:
                first, after = place, self._look_ahead(place, len(lines))
                signed = self._signs.of(lines[first:after])
            if reads is None and not signed and after == len(lines):
                break
            found.extend(self._offer(line, signed.get(place - first, ())))
        return found

    def _look_ahead(self, place: int, end: int) -> int:
        """Up to which line signs are looked for at once: each may still be claimed by the reader that reads.

        As many lines as it has left unclaimed in a row, so that one line costs one, and noise is searched at once.
        """
        if self._reads is None or self._reads.last:
            return end
        return place + 1 if self._idle < FEW else min(place + self._idle, end)

    def end(self) -> Sequence[Found]:
        """What was still under way."""
        return () if self._reads is None else self._reads.end()

    def _offer(self, line: str, numbers: Collection[int]) -> Sequence[Found]:
        """Offers a line to those with these numbers, and to a `last` one that reads, in their order."""
        before = self._reads
        for reader in self._in_order(numbers):
            claimed = None if reader is before and not reader.last else reader.read(line)
            if claimed is not None:
                self._reads, self._idle = reader, 0
                return claimed if before is None or before is reader else (*before.end(), *claimed)
        self._idle += 1
        return () if before is None or self._idle < IDLE_MAX else self._stop(before)

    def _in_order(self, numbers: Collection[int]) -> list[LineReader]:
        readers = [self._readers[number] for number in sorted(numbers)]
        if self._reads is not None and self._reads.last and self._reads not in readers:
            readers.append(self._reads)
        return readers

    def _stop(self, reader: LineReader) -> Sequence[Found]:
        self._reads, self._idle = None, 0
        return reader.end()
