"""What pyright and basedpyright write for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.messages import Pending, cut
from wavepool.plan.diagnostics.places import number

_OPENING = re.compile(
    r"  (?P<path>\S.*?):(?:(?P<line>\d+):(?P<column>\d+) -)? (?P<level>error|warning|information): (?P<message>.*)"
)
_RULE = re.compile(r"(?P<message>.*) \((?P<rule>report[A-Z]\w*)\)", re.DOTALL)
_FURTHER = ("  ", "\u00a0")
_TOTAL = re.compile(r"(?P<errors>\d{1,9}) errors?, (?P<warnings>\d{1,9}) warnings?, \d+ (?:informations?|notes?) ?")
_NOT_THERE = re.compile(r'File or directory "(?P<path>.+)" does not exist\.?')


class PyrightReader(LineReader):
    """Reads what pyright tells of each file, and its total. What it calls information fails nothing: left out."""

    tool: ClassVar[str] = "pyright"
    languages: ClassVar[tuple[str, ...]] = ("python",)
    signs: ClassVar[str | None] = (
        r"^  \S.*(?::\d+ -|:) (?:error|warning|information): |^\d+ errors?, \d+ warnings?, \d+ (?:info|note)"
        r'|^File or directory ".+" does not exist'
    )

    def __init__(self) -> None:
        self._pending = Pending()
        self._within_message = False

    def read(self, line: str) -> Sequence[Found] | None:
        if opening := _OPENING.fullmatch(line):
            return self._open(opening)
        if self._within_message and line.startswith(_FURTHER):
            self._pending.go_on(line.replace("\u00a0", " ").removeprefix("  "))
            return ()
        self._within_message = False
        if line[:1].isdigit() and (total := _TOTAL.fullmatch(line)):
            counts = Total(tool=self.tool, errors=int(total["errors"]), warnings=int(total["warnings"]))
            return (*self._take(), counts)
        if _NOT_THERE.fullmatch(line):
            return (*self._take(), Diagnostic(tool=self.tool, message=cut(line)))
        return None

    def end(self) -> Sequence[Found]:
        self._within_message = False
        return self._take()

    def _open(self, opening: re.Match[str]) -> Sequence[Found]:
        before = self._take()
        self._within_message = True
        if opening["level"] != "information":
            self._pending.begin(_diagnostic(opening))
        return before

    def _take(self) -> tuple[Diagnostic, ...]:
        return tuple(_with_rule(diagnostic) for diagnostic in self._pending.take())


def _diagnostic(opening: re.Match[str]) -> Diagnostic:
    return Diagnostic(
        tool=PyrightReader.tool,
        path=opening["path"],
        line=number(opening["line"]),
        column=number(opening["column"]),
        message=opening["message"],
        severity=Severity.WARNING if opening["level"] == "warning" else Severity.ERROR,
    )


def _with_rule(diagnostic: Diagnostic) -> Diagnostic:
    """The rule stands at the end of the message's last line."""
    rule = _RULE.fullmatch(diagnostic.message)
    return diagnostic if rule is None else replace(diagnostic, message=rule["message"], code=rule["rule"])
