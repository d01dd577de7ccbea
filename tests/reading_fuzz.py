"""What must hold of the reader of checks' output whatever the bytes are: for hypothesis, and for atheris."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wavepool.fixing.files import WorkspaceFiles
from wavepool.model.diagnostics import Diagnostic, Found, Total
from wavepool.plan.diagnostics.decoding import LINE_MAX
from wavepool.plan.diagnostics.messages import MESSAGE_MAX
from wavepool.plan.diagnostics.reading import PROBLEMS_MAX, OutputReader
from wavepool.plan.making.findings import Findings

RECORDED = Path(__file__).parent / "transcripts" / "checks"


def transcripts() -> list[bytes]:
    """What the real tools wrote, in the order of their names."""
    return [path.read_bytes() for path in sorted(RECORDED.rglob("*")) if path.is_file()]


def read(pieces: Sequence[bytes]) -> tuple[list[Found], list[str]]:
    """What is found in these pieces of one stream, and what could not be read."""
    reader = OutputReader()
    found = [one for piece in pieces for one in reader.feed(piece)]
    return [*found, *reader.end()], reader.problems


def assert_sound(data: bytes, cuts: Sequence[int]) -> None:
    """Read at once and cut at these places: neither fails, both find the same, and what they find is well formed."""
    found, problems = read([data])
    places = sorted({min(cut, len(data)) for cut in cuts})
    pieces = [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
    assert read(pieces) == (found, problems), f"cut at {places} it is read as something else"
    assert len(problems) <= PROBLEMS_MAX + 1
    for one in found:
        if isinstance(one, Diagnostic):
            _assert_well_formed(one)
    totals = [one for one in found if isinstance(one, Total)]
    for tool in {total.tool for total in totals}:
        _assert_well_formed_sum([total for total in totals if total.tool == tool])


def assert_gathered(found: Sequence[Found], workspace: Path) -> None:
    """Reading goes on through placing and gathering: nothing fails, and all that is kept can be written as UTF-8."""
    findings = Findings(WorkspaceFiles(workspace).place, warnings=True)
    for one in found:
        findings.add(one)
    apart = [one for each in findings.set_apart for one in each.examples]
    for one in (*apart, *findings.unplaced.diagnostics, *(one for file in findings.files for one in file.diagnostics)):
        f"{one.path} {one.code} {one.message}".encode()
    findings.disagreements()


def _assert_well_formed(one: Diagnostic) -> None:
    assert one.tool
    assert len(one.message) <= MESSAGE_MAX, one
    assert one.path is None or 0 < len(one.path) <= LINE_MAX, one
    assert one.line is None or one.line > 0, one
    assert one.column is None or one.column > 0, one
    assert one.code is None or one.code.strip(), one


def _assert_well_formed_sum(totals: Sequence[Total]) -> None:
    """One alone may take back what was told too early."""
    assert sum(total.errors or 0 for total in totals) >= 0, totals
    assert sum(total.warnings or 0 for total in totals) >= 0, totals
    assert sum(total.files or 0 for total in totals) >= 0, totals
