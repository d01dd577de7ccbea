"""Looking for a text in output that comes in pieces, with a bound on what is kept of a line."""

from __future__ import annotations

from wavepool.monitoring.logs.pieces import Match

AROUND_BYTES = 200
"""Of a line, before and after a match."""

TEXT_MAX_BYTES = 1000
"""Of what is looked for."""


class Scanner:
    """Takes output in pieces and finds a text in it; matches do not overlap.

    Args:
        text: what is looked for, not empty, at most `TEXT_MAX_BYTES`; a newline in it is found too.
        at: position of the first piece.
        most: of matches; then `full` is set.
        heed_case: else letters a to z are found in either case; others as they are.

    Attributes:
        matches: so far. The last ones may wait for what follows them on their line: `finish`.
        next_offset: where another scanner has to begin, so that nothing is found twice or missed.
    """

    def __init__(self, text: bytes, *, at: int, most: int, heed_case: bool = False) -> None:
        self._text = text if heed_case else text.lower()
        self._heed_case = heed_case
        self._most = most
        self._kept = b""
        self._kept_at = at
        self._looked_to = at
        self.matches: list[Match] = []

    @property
    def full(self) -> bool:
        """No more are taken."""
        return len(self.matches) >= self._most

    @property
    def next_offset(self) -> int:
        return self._looked_to

    def feed(self, data: bytes) -> None:
        """Take the next piece. Matches are told once all that is shown after them is there, or at `finish`."""
        self._kept += data
        self._look(final=False)

    def finish(self, *, at_end: bool) -> None:
        """Nothing more is read: because there is no more, or because it took long enough."""
        self._look(final=True)
        if at_end and not self.full:
            self._looked_to = self._kept_at + len(self._kept)

    def _look(self, *, final: bool) -> None:
        kept = self._kept if self._heed_case else self._kept.lower()
        size = len(self._text)
        end = self._kept_at + len(kept)
        while not self.full:
            found = kept.find(self._text, self._looked_to - self._kept_at)
            if found < 0:
                self._looked_to = max(self._looked_to, end - size + 1)
                break
            after = found + size + AROUND_BYTES
            if not final and after > len(kept) and kept.find(b"\n", found + size) < 0:
                self._looked_to = self._kept_at + found  # the rest of its line is yet to come
                break
            self.matches.append(self._match(found, size))
            self._looked_to = self._kept_at + found + size
        drop = self._looked_to - AROUND_BYTES - self._kept_at
        if drop > 0:
            self._kept, self._kept_at = self._kept[drop:], self._kept_at + drop

    def _match(self, found: int, size: int) -> Match:
        start = max(self._kept.rfind(b"\n", 0, found) + 1, found - AROUND_BYTES)
        stop = self._kept.find(b"\n", found + size, found + size + AROUND_BYTES)
        line = self._kept[start : stop if stop >= 0 else found + size + AROUND_BYTES]
        return Match(offset=self._kept_at + found, line=line, column=found - start, size=size)
