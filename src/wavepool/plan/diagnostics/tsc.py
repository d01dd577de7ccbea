"""What the TypeScript compiler writes: plain, `--pretty`, `--build` and `--watch`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import ClassVar

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.messages import Pending

_CATEGORY = r"(?P<category>error|warning|message|suggestion) (?P<code>TS\d+): (?P<message>.*)"
_WITHOUT_FILE = re.compile(_CATEGORY)
_PLAIN = re.compile(rf"(?P<path>\S.*?)\((?P<line>\d{{1,9}}),(?P<column>\d{{1,9}})\): {_CATEGORY}")
_PRETTY = re.compile(rf"(?P<path>\S.*?):(?P<line>\d{{1,9}}):(?P<column>\d{{1,9}}) - {_CATEGORY}")

_EXCERPT = re.compile(r"\s|$|\d+(?: |$)")
"""A line of source with its number, marks below it, where related information is, and what that says."""

_WATCHING = " Watching for file changes."
_FOUND = re.compile(
    r"(?:\[[^\]]*\] |\d[\d:.]*(?: [AP]M)? - )?Found (?P<errors>\d{1,9}) errors?"
    rf"(?: in (?:(?P<files>\d{{1,9}}) files|(?P<one>.+?)))?\.?(?:{re.escape(_WATCHING)})?"
)
_TABLE = re.compile(r"$|Errors  Files| *\d+  \S")


class _Within(Enum):
    """What the line before was of, and so what a line may go on with."""

    NOTHING = auto()
    PLAIN = auto()
    PRETTY = auto()
    EXCERPT = auto()
    TABLE = auto()


class TscReader(LineReader):
    """Reads tsc, the native tsc and vue-tsc: errors with the lines that go on with them, and the total of `--pretty`.

    Excerpts and related information are of the error before them, and no errors. Rounds of a watch are read one after
    another, each with its own total.
    """

    tool: ClassVar[str] = "tsc"
    languages: ClassVar[tuple[str, ...]] = ("typescript", "javascript")
    signs: ClassVar[str | None] = r" TS\d+: |^(?:error|warning) TS\d| Watching for file changes\."

    def __init__(self) -> None:
        self._pending = Pending()
        self._within = _Within.NOTHING
        self._sums_up = False
        """Whether a total may follow: there was pretty output since the last one."""

    def read(self, line: str) -> Sequence[Found] | None:
        if self._goes_on(line):
            return ()
        if (opening := _opening(line)) is not None:
            return self._open(opening)
        if (found := _FOUND.fullmatch(line)) and (self._sums_up or line.endswith(_WATCHING)):
            return self._sum_up(found)
        self._within = _Within.NOTHING
        return None

    def end(self) -> Sequence[Found]:
        self._within = _Within.NOTHING
        return self._pending.take()

    def _goes_on(self, line: str) -> bool:
        """Whether the line is of what came before it; it is added where it is of the message."""
        within = self._within
        if within in (_Within.PLAIN, _Within.PRETTY) and line.startswith("  "):
            self._pending.go_on(line)
            return True
        if within is _Within.PRETTY and not line:
            self._within = _Within.EXCERPT
            return True
        if within is _Within.EXCERPT:
            return _EXCERPT.match(line) is not None
        return within is _Within.TABLE and _TABLE.match(line) is not None

    def _open(self, opening: re.Match[str]) -> Sequence[Found]:
        before = self._pending.take()
        self._within = _Within.PLAIN if opening.re is _PLAIN else _Within.PRETTY
        self._sums_up = self._sums_up or opening.re is not _PLAIN
        if opening["category"] in ("error", "warning"):
            self._pending.begin(_diagnostic(opening))
        return before

    def _sum_up(self, found: re.Match[str]) -> Sequence[Found]:
        before = self._pending.take()
        self._within = _Within.TABLE
        self._sums_up = False
        files = int(found["files"]) if found["files"] else 1 if found["one"] else None
        return (*before, Total(tool=self.tool, errors=int(found["errors"]), files=files))


def _opening(line: str) -> re.Match[str] | None:
    if "TS" not in line:
        return None
    if without_file := _WITHOUT_FILE.fullmatch(line):
        return without_file
    # A message may quote what looks like an opening of the other form: the line's own comes first.
    forms = (_PLAIN.fullmatch(line), _PRETTY.fullmatch(line))
    return min(filter(None, forms), key=lambda opening: opening.end("path"), default=None)


def _diagnostic(opening: re.Match[str]) -> Diagnostic:
    place = opening.groupdict()
    return Diagnostic(
        tool=TscReader.tool,
        path=place.get("path"),
        line=int(place["line"]) if "line" in place else None,
        column=int(place["column"]) if "column" in place else None,
        code=opening["code"],
        message=opening["message"],
        severity=Severity.WARNING if opening["category"] == "warning" else Severity.ERROR,
    )
