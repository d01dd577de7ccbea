"""Where one task ends in the output of a shell that runs many: marks with a nonce, found in a stream of pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

LEAD = b"\x1e"
"""What a mark begins with: the record separator, which hardly ends a piece of real output. Only such a piece waits."""
END = b";"
MARK_MAX_BYTES = 1024
"""No mark of ours is as long."""


class Mark(NamedTuple):
    """What the shell told: its word (``hello``, ``ended``, ``done``), and what came with it."""

    word: str
    rest: str


class MarkFinder:
    """Takes one stream of output apart into what the task wrote and the marks that carry `nonce`.

    Holds back what may be the beginning of a mark: at most `MARK_MAX_BYTES`.
    """

    def __init__(self, nonce: str) -> None:
        self._lead = LEAD + nonce.encode("ascii") + b" "
        self._held = b""

    def feed(self, data: bytes) -> Iterator[bytes | Mark]:
        """The pieces of `data` in their order; no bytes are empty.

        Raises:
            ValueError: a mark that has no end.
        """
        data, self._held = self._held + data, b""
        while data:
            begin = data.find(self._lead)
            if begin < 0:
                begin = len(data) - _overlap(data, self._lead)
                self._held = data[begin:]
                data = data[:begin]
                if data:
                    yield data
                return
            if begin > 0:
                yield data[:begin]
            end = data.find(END, begin)
            if end < 0:
                self._held = data[begin:]
                if len(self._held) > MARK_MAX_BYTES:
                    raise ValueError("a mark of the shell has no end")
                return
            word, _, rest = data[begin + len(self._lead) : end].decode("utf-8", "replace").partition(" ")
            yield Mark(word, rest)
            data = data[end + 1 :]

    def rest(self) -> bytes:
        """What was held back when the stream ended."""
        held, self._held = self._held, b""
        return held


def _overlap(data: bytes, lead: bytes) -> int:
    """How many bytes at the end of `data` are a beginning of `lead`."""
    for length in range(min(len(data), len(lead) - 1), 0, -1):
        if lead.startswith(data[-length:]):
            return length
    return 0
