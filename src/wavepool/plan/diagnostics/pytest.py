"""What pytest writes: one diagnostic for each test that failed or erred, each module not collected, each refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import ClassVar

from wavepool.model.diagnostics import Diagnostic, Found, Total
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.messages import cut
from wavepool.plan.diagnostics.pytest_failures import ERROR, FAILED, Failures

_SECTION = re.compile(r"=+ (?P<name>\S(?:.*\S)?) =+")
_TITLE = re.compile(r"_+ (?P<title>[^\s_].*|_[^ ].*) _+")
_COUNT = r"(?:\d+/)?\d+ [a-z]+(?: [a-z]+)?(?: \(\d+ deselected\))?"
_TOTAL = re.compile(
    rf"(?:=+ )?(?P<counts>{_COUNT}(?:, {_COUNT})*|no tests (?:ran|collected)(?: \(.*\))?)"
    r" in \d+(?:\.\d+)?(?:s| seconds)(?: \([\d:]+\))?(?: =+)?"
)
_FAULTS = re.compile(r"\b(\d{1,9}) (?:failed|errors?)\b")

_REFUSED = re.compile(r"ERROR: (?:(?:file or directory )?not found: |path cannot contain |Missing required plugins).*")
_USAGE = "ERROR: usage: "
_WRONG_USE = re.compile(r"\S+: error: .*")
_CONFTEST = re.compile(r"ImportError while loading conftest '(?P<path>.+)'\.")
_INTERNAL = "INTERNALERROR> "


class _Place(Enum):
    """What part of the output the lines are of."""

    OUTSIDE = auto()
    TESTS = auto()
    CONFTEST = auto()
    ERRORS = auto()
    FAILURES = auto()
    SUMMARY = auto()
    OTHER = auto()
    """A section without failures: warnings, slowest tests, coverage, what passing tests have printed."""


_SECTIONS = {
    "test session starts": _Place.TESTS,
    "ERRORS": _Place.ERRORS,
    "FAILURES": _Place.FAILURES,
    "short test summary info": _Place.SUMMARY,
    "PASSES": _Place.OTHER,
    "warnings summary": _Place.OTHER,
    "warnings summary (final)": _Place.OTHER,
}
_KINDS = {_Place.ERRORS: ERROR, _Place.FAILURES: FAILED}


class PytestReader(LineReader):
    """Reads the sections ERRORS and FAILURES, the short summary, and the total; and why pytest did not run at all.

    All lines within the sections are pytest's, so that what the tests have printed there is nobody's diagnostic. A run
    of pytest that a test has printed whole is passed over.
    """

    tool: ClassVar[str] = "pytest"
    languages: ClassVar[tuple[str, ...]] = ("python",)
    signs: ClassVar[str | None] = (
        r"^=+ .* =+$|^\d+ [a-z]+.* in \d+\.\d+s|^no tests ran in |^ERROR: |^\S+: error: "
        r"|^ImportError while loading conftest |^INTERNALERROR> "
    )

    def __init__(self) -> None:
        self._place = _Place.OUTSIDE
        self._kind: str | None = None
        """Of the failures in the section that was entered last; None: it has none."""
        self._width = 0
        """How long the shortest line is that began a section: pytest makes all as long as the total; 0 outside."""
        self._printed = False
        """Whether a whole run is under way that a test has printed."""
        self._failures = Failures(self.tool)
        self._usage = False
        self._internal: str | None = None
        self._told_last = False

    def read(self, line: str) -> Sequence[Found] | None:
        if self._place is _Place.CONFTEST:
            return self._read_conftest(line)
        if line[:1] == "=" or line[:1].isdigit() or line.startswith("no tests"):
            if total := _TOTAL.fullmatch(line):
                return self._sum_up(total, line)
            if line[0] == "=" and (section := _SECTION.fullmatch(line)):
                return self._enter(section["name"], line)
        if self._place is _Place.OUTSIDE or self._place is _Place.TESTS:
            return self._read_outside(line)
        return self._read_inside(line)

    def end(self) -> Sequence[Found]:
        return self._close()

    def _read_inside(self, line: str) -> Sequence[Found]:
        if self._printed:
            return ()
        if self._place is _Place.SUMMARY:
            return self._failures.sum_up(line)
        if self._kind is None:
            return ()
        if line[:1] == "_" and (title := _TITLE.fullmatch(line)):
            return self._failures.begin(self._kind, title["title"])
        self._failures.read(line)
        return ()

    def _enter(self, name: str, line: str) -> Sequence[Found] | None:
        """A section begins, if the line is no test's own."""
        inside = self._place in (_Place.ERRORS, _Place.FAILURES, _Place.OTHER)
        if self._printed or (self._failures.captured and self._is_short(line)):
            return ()
        if inside and name == "test session starts":
            self._printed = True
            return ()
        if name not in _SECTIONS and not inside:
            return None if self._place is not _Place.SUMMARY else self._failures.sum_up(line)
        before = self._close() if name == "test session starts" else ()
        self._failures.close()
        self._place = _SECTIONS.get(name, _Place.OTHER)
        self._kind = _KINDS.get(self._place)
        self._width = min(self._width or len(line), len(line))
        return before

    def _is_short(self, line: str) -> bool:
        """Whether the line is too short to be one of pytest's own that reach from margin to margin."""
        return len(line) + 1 < self._width

    def _sum_up(self, total: re.Match[str], line: str) -> Sequence[Found]:
        """The run is over, if the line is no test's own."""
        if self._printed:
            self._printed = False
            return ()
        if self._is_short(line) if line[0] == "=" else self._failures.captured:
            return ()
        told = self._close()
        counts = total["counts"]
        if counts.startswith("no tests"):
            return told
        return (*told, Total(tool=self.tool, errors=sum(int(count) for count in _FAULTS.findall(counts))))

    def _read_outside(self, line: str) -> Sequence[Found] | None:
        if line.startswith(_INTERNAL):
            self._internal = line.removeprefix(_INTERNAL)
            return ()
        if self._usage and _WRONG_USE.fullmatch(line):
            self._usage = False
            return (Diagnostic(tool=self.tool, message=cut(line)),)
        self._usage = line.startswith(_USAGE)
        if _REFUSED.fullmatch(line):
            return (Diagnostic(tool=self.tool, message=cut(line.removeprefix("ERROR: "))),)
        if conftest := _CONFTEST.fullmatch(line):
            before = self._close()
            self._place, self._told_last = _Place.CONFTEST, False
            return (*before, *self._failures.begin(ERROR, f"ERROR collecting {conftest['path']}"))
        return () if self._usage or not line or line.endswith("%]") else None

    def _read_conftest(self, line: str) -> Sequence[Found] | None:
        """Why a conftest could not be imported ends with lines marked ``E``."""
        is_told = line.startswith("E ")
        if self._told_last and not is_told:
            return None
        self._told_last = is_told
        self._failures.read(line)
        return ()

    def _close(self) -> Sequence[Diagnostic]:
        """All that was under way; the next line is outside."""
        self._place, self._width = _Place.OUTSIDE, 0
        self._printed = False
        internal, self._internal = self._internal, None
        failures = self._failures.end()
        if internal is None:
            return failures
        return (*failures, Diagnostic(tool=self.tool, message=cut(f"an error in pytest itself: {internal}")))
