"""What the TypeScript compiler writes: plain, `--pretty`, `--build` and `--watch`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import ClassVar

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.messages import Pending
from wavepool.plan.diagnostics.places import number

_OPENING = re.compile(
    r"(?:|(?P<path>\S.*?)(?:\((?P<line>\d+),(?P<column>\d+)\): |:(?P<pretty_line>\d+):(?P<pretty_column>\d+) - ))"
    r"(?P<category>error|warning|message|suggestion) (?P<code>TS\d+): (?P<message>.*)"
)
"""Of no file; or plain, or pretty: whichever comes first, as a message may quote what looks like the other."""

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
        self._indent = 0
        """Of the line before: each line that goes on with a message is indented by two more at most."""
        self._sums_up = False
        """Whether a total may follow: there was pretty output since the last one."""

    def read(self, line: str) -> Sequence[Found] | None:
        if self._goes_on(line):
            return ()
        if "TS" in line and (opening := _OPENING.fullmatch(line)) is not None:
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
        if within in (_Within.PLAIN, _Within.PRETTY) and 2 <= (indent := _indent(line)) <= self._indent + 2:
            self._indent = indent
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
        is_plain = opening["line"] is not None
        self._indent = 0
        self._within = _Within.PLAIN if is_plain else _Within.PRETTY
        self._sums_up = self._sums_up or not is_plain
        if opening["category"] in ("error", "warning"):
            self._pending.begin(_diagnostic(opening))
        return before

    def _sum_up(self, found: re.Match[str]) -> Sequence[Found]:
        before = self._pending.take()
        self._within = _Within.TABLE
        self._sums_up = False
        files = int(found["files"]) if found["files"] else 1 if found["one"] else None
        return (*before, Total(tool=self.tool, errors=int(found["errors"]), files=files))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _diagnostic(opening: re.Match[str]) -> Diagnostic:
    path, plain_line, plain_column, line, column, category, code, message = opening.groups()
    return Diagnostic(
        tool=TscReader.tool,
        path=path,
        line=number(plain_line or line),
        column=number(plain_column or column),
        code=code,
        message=message,
        severity=Severity.WARNING if category == "warning" else Severity.ERROR,
    )
