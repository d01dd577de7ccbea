"""The last lines of what an attempt wrote, as text that no reader of a report has to be careful with."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from wavepool.statedir import open_regular

TAIL_BYTES = 16 << 10
TAIL_LINES = 60
"""Of one log, at most."""

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # control sequences: colours, movements
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # strings: titles, links
    r"|[ -/]*[0-~])"  # what remains of ECMA-48 and ISO 2022
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of a log.

    Attributes:
        attempt: number of the attempt that wrote it.
        text: lines, without control characters other than tab and newline.
        cut: True where the log has more before it.
        problem: why it cannot be told, or what the archive lacks.
    """

    attempt: int
    text: str = ""
    cut: bool = False
    problem: str | None = None


def read_tail(path: Path, attempt: int, problem: str | None = None) -> Tail:
    """The end of this archive. One that cannot be read is told as a problem; raises nothing."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            data = file.read(TAIL_BYTES)
    except OSError as error:
        return Tail(attempt=attempt, problem=f"its log cannot be read: {error.strerror or error}")
    cut = size > len(data)
    if cut:  # not from the middle of a line, or of a character
        head, newline, rest = data.partition(b"\n")
        data = rest if newline else head
    lines = plain_text(data.decode("utf-8", errors="replace")).rstrip("\n").split("\n")
    cut = cut or len(lines) > TAIL_LINES
    return Tail(attempt=attempt, text="\n".join(lines[-TAIL_LINES:]), cut=cut, problem=problem)


def plain_text(text: str) -> str:
    """Without what a terminal acts on. A line that was written over and over stays as it was at last."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n")
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return _CONTROLS.sub("", "\n".join(lines))
