"""Lines of aligned columns on stdout: for a person, for grep, and for awk."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from wavepool.listeners.wording import printable
from wavepool.units import GIB, KIB, MIB

GAP = "  "


def print_columns(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A line of headings and one for each row; those named in `right` end flush. The last column is never padded."""
    for line in aligned(headings, rows, right=right):
        sys.stdout.write(f"{line}\n")


def aligned(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> Iterator[str]:
    """The lines of `print_columns`."""
    cells = [list(headings), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    for row in cells:
        padded = [
            cell.rjust(width) if heading in right else cell.ljust(width)
            for heading, cell, width in zip(headings, row, widths, strict=True)
        ]
        yield GAP.join(padded).rstrip()


def say(text: str = "") -> None:
    """One line of a result on stdout; what could act on a terminal is escaped."""
    sys.stdout.write(f"{printable(text)}\n")


def disk_size(size_bytes: int) -> str:
    """A size as a list shows it: ``20k``, ``3.4m``, ``1.2g``."""
    for letter, unit in (("g", GIB), ("m", MIB)):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.1f}{letter}"
    return f"{-(-size_bytes // KIB)}k"
