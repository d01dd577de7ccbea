"""Reading takes no more memory for ten times as much output, whichever form it has."""

from __future__ import annotations

import tracemalloc

import pytest

from bench.reading import FORMS, PIECE_BYTES, Output
from wavepool.plan.diagnostics.reading import OutputReader

MORE_BYTES = 100_000
"""What the peaks may differ by: where the pieces happen to end."""


def peak_bytes(output: Output, size: int) -> int:
    """The most that the reader holds at once, with what it finds in one piece, beyond the piece itself."""
    reader = OutputReader()
    tracemalloc.start()
    try:
        for piece in output.pieces(size):
            reader.feed(piece)
        reader.end()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["tsc-pretty", "eslint-json", "pyright-json", "cargo"])
def test_memory_does_not_grow(form: str) -> None:
    assert form in FORMS
    output = Output(form)
    less = peak_bytes(output, 2 * PIECE_BYTES)
    assert peak_bytes(output, 20 * PIECE_BYTES) < less + MORE_BYTES
