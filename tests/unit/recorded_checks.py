"""What real tools have written, as recorded in tests/transcripts/checks, and what is read in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.reading import OutputReader

RECORDED = Path(__file__).parents[1] / "transcripts" / "checks"


def read(text: str | bytes, *, piece: int = 997) -> list[Found]:
    """What all readers together find in this output, fed in pieces."""
    data = text.encode() if isinstance(text, str) else text
    reader = OutputReader()
    found = [one for start in range(0, len(data), piece) for one in reader.feed(data[start : start + piece])]
    found.extend(reader.end())
    assert reader.problems == []
    return found


def recorded(name: str) -> list[Found]:
    """What is found in a recorded output."""
    return read((RECORDED / name).read_bytes())


def parted(found: Iterable[Found]) -> tuple[list[Diagnostic], list[Total]]:
    """The diagnostics, and the totals."""
    found = list(found)
    return [one for one in found if isinstance(one, Diagnostic)], totals(found)


def brief(found: Iterable[Found]) -> list[str]:
    """The diagnostics as ``E path:line:column code``, without what is not there."""
    return [_brief(one) for one in found if isinstance(one, Diagnostic)]


def messages(found: Iterable[Found]) -> list[str]:
    """The messages of the diagnostics."""
    return [one.message for one in found if isinstance(one, Diagnostic)]


def totals(found: Iterable[Found]) -> list[Total]:
    """The totals."""
    return [one for one in found if isinstance(one, Total)]


def counted(found: Iterable[Found], tool: str) -> tuple[int, int]:
    """How many errors and warnings of a tool there are."""
    severities = [one.severity for one in found if isinstance(one, Diagnostic) and one.tool == tool]
    return severities.count(Severity.ERROR), severities.count(Severity.WARNING)


def _brief(one: Diagnostic) -> str:
    place = ":".join(str(part) for part in (one.path, one.line, one.column) if part is not None)
    return " ".join(part for part in (one.severity.value[0].upper(), place, one.code) if part)
