"""Reading a check's output: 100 MB of each main form through `OutputReader`, seconds and memory; no Docker.

What the real tools wrote (`tests/transcripts/checks/real`) is repeated with varying paths, a document as one long
document. Each form is read in a process of its own, in pieces of 64 KiB as a pipe brings them, 10 MB and then 100 MB.
The clock counts processor time, and only while the reader works. Every diagnostic must be found.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread

from bench.apart import measured_apart
from bench.harness import Figure, Goal, Options
from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.diagnostics.reading import OutputReader

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "tests" / "transcripts" / "checks" / "real"
PIECE_BYTES = 64 * 1024
MB = 1_000_000
WHOLE_MB = 100
FIRST_MB = 10
VARIANTS = 100
"""How many different paths each path of a transcript becomes."""

FORMS: dict[str, Sequence[str | int] | None] = {
    "tsc-plain": None,
    "tsc-pretty": None,
    "eslint-stylish": None,
    "eslint-json": (),
    "mypy-plain": None,
    "mypy-pretty": None,
    "mypy-json": None,
    "pyright-plain": None,
    "pyright-json": ("generalDiagnostics",),
    "ruff-concise": None,
    "ruff-full": None,
    "ruff-json": (),
    "ruff-sarif": ("runs", 0, "results"),
    "pytest": None,
    "cargo": None,
    "cargo-json": None,
    "go-build": None,
    "gcc": None,
    "clang": None,
    "shellcheck-tty": None,
    "shellcheck-gcc": None,
    "shellcheck-json": ("comments",),
}
"""Where the list of diagnostics is in a form that is one document; None: it is lines."""


async def measure(options: Options) -> list[Figure]:
    """A row for each form: seconds for 100 MB, the slowest reading; and one for the memory of the worst."""
    figures: list[Figure] = []
    grown_mb: dict[str, float] = {}
    for form in FORMS:
        readings = [
            await anyio.to_thread.run_sync(measured_apart, "bench.reading", form) for _ in range(options.rounds(1))
        ]
        grown_mb[form] = max(reading["grown_mb"] for reading in readings)
        took_s = max(reading["took_s"] for reading in readings)
        figures.append(_row(form, took_s, grown_mb[form], len(readings), readings[0]["diagnostics"]))
    worst = max(grown_mb, key=lambda form: grown_mb[form])
    return [*figures, _memory(worst, grown_mb[worst])]


def _row(form: str, took_s: float, grown_mb: float, runs: int, diagnostics: float) -> Figure:
    goal = Goal(bound=10.0)
    return Figure(
        name=f"reading {form}",
        unit="s for 100 MB",
        ours=took_s,
        goals=(str(goal),),
        missed=() if goal.is_met(took_s) else (str(goal),),
        runs={"ours": runs},
        note=f"{WHOLE_MB / took_s:.0f} MB/s, {diagnostics:,.0f} diagnostics; {grown_mb:.1f} MB more at its peak than "
        f"with {FIRST_MB} MB",
    )


def _memory(form: str, grown_mb: float) -> Figure:
    goal = Goal(bound=4.0)
    return Figure(
        name="reading, memory",
        unit="MB more with 100 MB than with 10",
        ours=grown_mb,
        goals=(str(goal),),
        missed=() if goal.is_met(grown_mb) else (str(goal),),
        note=f"the worst of them, {form}",
    )


def _measure_here(form: str) -> dict[str, float]:
    output = Output(form)
    read(output.pieces(FIRST_MB * MB))
    peak_before = _peak_bytes()
    diagnostics, took_s = read(output.pieces(WHOLE_MB * MB))
    grown = _peak_bytes() - peak_before
    return {"took_s": took_s, "grown_mb": grown / MB, "diagnostics": diagnostics}


class Output:
    """Output of one form, as long as wanted.

    Attributes:
        head, tail: of the document; empty for lines.
        bodies: what comes between, as often as needed; each with paths of its own.
    """

    def __init__(self, form: str) -> None:
        written = (RECORDED / f"{form}.txt").read_bytes()
        place = FORMS[form]
        self._joint = b""
        self.head = self.tail = b""
        if place is not None:
            self.head, written, self.tail = _parts(_document(written), place)
            self._joint = b","
        self.bodies = [_with_paths(written, number) for number in range(VARIANTS)]

    def pieces(self, size: int) -> Iterator[bytes]:
        """At least `size` bytes."""
        buffer = bytearray(self.head)
        made, number = 0, 0
        while made < size:
            while len(buffer) < PIECE_BYTES:
                buffer += (self._joint if number else b"") + self.bodies[number % VARIANTS]
                number += 1
            yield bytes(buffer[:PIECE_BYTES])
            made += PIECE_BYTES
            del buffer[:PIECE_BYTES]
        yield bytes(buffer) + self.tail


def read(pieces: Iterator[bytes]) -> tuple[int, float]:
    """How many diagnostics are found, and the seconds that the reader takes. Raises RuntimeError: not all was read."""
    reader = OutputReader()
    count, took_s = 0, 0.0
    for piece in pieces:
        began_s = time.process_time()
        found = reader.feed(piece)
        took_s += time.process_time() - began_s
        count += sum(isinstance(one, Diagnostic) for one in found)
    count += sum(isinstance(one, Diagnostic) for one in reader.end())
    if reader.problems or not count:
        raise RuntimeError(f"{count} diagnostics were read, then: {reader.problems}")
    return count, took_s


def _with_paths(written: bytes, number: int) -> bytes:
    """The same with the paths of another project, which a plan would tell from the first."""
    for directory in (b"src/", b"(group)/", b"pkg/", b"pages/", b"built/", b"posix.sh"):
        written = written.replace(directory, b"%s%d/" % (directory, number) if directory.endswith(b"/") else directory)
    return written


def _document(written: bytes) -> Any:
    """Without what the tool wrote after it, on its other stream."""
    return json.JSONDecoder().raw_decode(written.decode())[0]


def _parts(document: Any, place: Sequence[str | int]) -> tuple[bytes, bytes, bytes]:
    """The document up to the first item of its list, the items, and the rest."""
    mark = "here are the items"
    items = document
    for step in place:
        items = items[step]
    inner = json.dumps(items, ensure_ascii=False)[1:-1].encode()
    items[:] = [mark]
    head, tail = json.dumps(document, ensure_ascii=False).encode().split(json.dumps(mark).encode())
    return head, inner, tail


def _peak_bytes() -> int:
    """The highest memory of this process so far, as proc(5) has it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


if __name__ == "__main__":
    print(json.dumps(_measure_here(sys.argv[1])))
