"""Both streams of a check, read as they are written, each by a reader of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import groupby
from types import TracebackType
from typing import Self

from wavepool.fixing.spool import Spool, open_spool
from wavepool.model.diagnostics import Found, Severity, Total
from wavepool.plan.diagnostics.decoding import Decoder
from wavepool.plan.diagnostics.directories import in_directories
from wavepool.plan.diagnostics.lines import LineCutter
from wavepool.plan.diagnostics.reading import OutputReader
from wavepool.plan.making.findings import Findings
from wavepool.units import format_duration, human_size

LAST_WORDS_BYTES = 8000
LAST_WORDS_LINES = 15
LAST_WORDS_CHARACTERS = 300
"""Of a line."""
PROBLEMS_MAX = 10
"""Of a stream: the first ones, and the last, which says whether documents were left unread."""


class CheckReading:
    """Gathers into `findings` what is found, and remembers what tells whether the check was content.

    Attributes:
        findings: all that was found so far.
        errors: how many diagnostics of severity error so far, duplicates counted.
        content: a tool has said itself that there are none.
        complaint: a tool has said itself that there are some.
        spoke: the tool that said last how many there are; empty for none.
        problems: what could not be read, as sentences; bounded.
    """

    def __init__(self, findings: Findings, languages: frozenset[str] | None) -> None:
        self.findings = findings
        self.errors = 0
        self.content = False
        self.complaint = False
        self.spoke = ""
        self.problems: list[str] = []
        self._readers = {name: OutputReader(languages) for name in ("stdout", "stderr")}

    def feed(self, stream: str, data: bytes) -> None:
        """More of ``stdout`` or of ``stderr``."""
        self._take_of(stream, self._readers[stream].feed(data))

    def end(self) -> None:
        """Nothing comes any more."""
        for name, reader in self._readers.items():
            self._take_of(name, reader.end())
            first, last = reader.problems[: PROBLEMS_MAX - 2], reader.problems[PROBLEMS_MAX - 2 :][-2:]
            self.problems += [f"{name}: {problem}" for problem in (*first, *last)]

    def _take_of(self, stream: str, found: Sequence[Found]) -> None:
        """Make names its directories on stdout, and compilers tell their errors on stderr: which of them it was in
        cannot be seen then, as nobody knows what was written before what."""
        if found and not self._readers[stream].entered:
            (other,) = (reader for name, reader in self._readers.items() if name != stream)
            found = in_directories(found, other.entered)
        self.take(found)

    def take(self, found: Iterable[Found]) -> None:
        """What a reader has found."""
        for each in found:
            self.findings.add(each)
            if isinstance(each, Total):
                self.spoke = each.tool
                self.content = self.content or each.errors == 0
                self.complaint = self.complaint or bool(each.errors)
            else:
                self.errors += each.severity is Severity.ERROR


class CheckStreams:
    """What a check has written to its two streams, and how far that was read."""

    def __init__(self, reading: CheckReading) -> None:
        self._reading = reading
        self._stack = ExitStack()
        self.spools: dict[str, Spool] = {}

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self.spools = {name: opening.enter_context(open_spool()) for name in ("stdout", "stderr")}
            self._stack = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def size_bytes(self) -> int:
        """How much was written to both."""
        return sum(spool.size_bytes for spool in self.spools.values())

    def read_piece(self) -> bool:
        """Read on for a fraction of a second; False where there was nothing to be read."""
        pieces = {name: spool.read() for name, spool in self.spools.items()}
        for name, piece in pieces.items():
            if piece:
                self._reading.feed(name, piece)
        return any(pieces.values())

    def last_words(self) -> str:
        """The end of both, for a person: what went wrong usually stands on stderr."""
        ends = (self.spools[name].end(LAST_WORDS_BYTES) for name in ("stdout", "stderr"))
        return last_words(*ends)


def last_words(*ends: bytes) -> str:
    """The last lines of these pieces of output, one piece after the other, without colours; empty for nothing."""
    lines: list[str] = []
    for end in ends:
        cutter = LineCutter()
        text = [*cutter.cut(Decoder().decode(end, final=True)), *cutter.end()]
        runs = [(line, sum(1 for _ in same)) for line, same in groupby(line.rstrip() for line in text if line.strip())]
        lines += [_shortened(line) + (f"  ({number} times)" if number > 1 else "") for line, number in runs]
    return "\n".join(f"  {line}" for line in lines[-LAST_WORDS_LINES:])


def _shortened(line: str) -> str:
    return line if len(line) <= LAST_WORDS_CHARACTERS else line[:LAST_WORDS_CHARACTERS] + "…"


def quoted(command: str) -> str:
    """A command in a sentence: on one line, not too long."""
    line = " ".join(command.split())
    return line if len(line) <= 100 else line[:99] + "…"


def progress_words(command: str, began_s: float, size_bytes: int, errors: int) -> str:
    """One line for a person who waits. `began_s` is on the monotonic clock."""
    took = format_duration(float(round(time.monotonic() - began_s)))
    told = "1 error" if errors == 1 else f"{errors} errors"
    return f"running {quoted(command)}: {took}, {human_size(size_bytes)} of output, {told} so far"
