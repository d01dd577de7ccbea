"""Which of the readers a line goes to (decision 30)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from wavepool.model.diagnostics import Found
from wavepool.plan.diagnostics.base import LineReader


class LineReading:
    """Gives each line to the reader that reads, and what that does not claim to the others: whoever claims takes over.

    The one before is ended, and keeps what it needs to take over again. A line with none of the readers' signs is
    offered to no one else, so that noise costs little.
    """

    def __init__(self, readers: Sequence[LineReader]) -> None:
        """Args: `readers`: the most specific first. Those that are `last` come after the others."""
        self._readers = sorted(readers, key=lambda reader: reader.last)
        self._signs = _any_of([reader.signs for reader in readers])
        self._reads: LineReader | None = None

    def read(self, lines: Iterable[str]) -> list[Found]:
        """What is complete with these lines."""
        found: list[Found] = []
        has_sign = self._signs.search
        for line in lines:
            reads = self._reads
            if reads is not None and not (reads.last and has_sign(line)):
                claimed = reads.read(line)
                if claimed is not None:
                    found.extend(claimed)
                    continue
            if has_sign(line) is not None:
                found.extend(self._offer(line))
        return found

    def end(self) -> Sequence[Found]:
        """What was still under way."""
        return () if self._reads is None else self._reads.end()

    def _offer(self, line: str) -> Sequence[Found]:
        before = self._reads
        for reader in self._readers:
            if reader is before and not reader.last:
                continue
            claimed = reader.read(line)
            if claimed is not None:
                self._reads = reader
                return claimed if before is None or before is reader else (*before.end(), *claimed)
        return ()


def _any_of(signs: Sequence[str | None]) -> re.Pattern[str]:
    """Is found wherever one of the signs is; everywhere, if some reader has none."""
    known = [sign for sign in signs if sign is not None]
    return re.compile("|".join(f"(?:{sign})" for sign in known) if len(known) == len(signs) else "")
