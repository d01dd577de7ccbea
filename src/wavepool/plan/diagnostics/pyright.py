"""What pyright and basedpyright write for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.messages import MESSAGE_MAX, cut
from wavepool.plan.diagnostics.places import number

_LEVEL = re.compile(r":(?:(\d+):(\d+) -)? (error|warning|information): ")
_RULE = re.compile(r" \((report[A-Z]\w*)\)$")
_FURTHER = ("  ", "\u00a0")
_TOTAL = re.compile(r"(?P<errors>\d{1,9}) errors?, (?P<warnings>\d{1,9}) warnings?, \d+ (?:informations?|notes?) ?")
_PYTHON = (".py", ".pyi", ".ipynb")
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
        self._opening: re.Match[str] | None = None
        self._lines: list[str] = []
        self._room = 0
        self._within_message = False

    def read(self, line: str) -> Sequence[Found] | None:
        if line.startswith("  ") and line[2:3] not in ("", " ") and (opening := _LEVEL.search(line, 3)):
            return self._open(opening, line)
        if self._within_message and line.startswith(_FURTHER):
            self._go_on(line.replace("\u00a0", " ").removeprefix("  "))
            return ()
        self._within_message = False
        if line.endswith(_PYTHON):
            return ()  # the file that what follows is of, with its whole path in each line
        if line[:1].isdigit() and (total := _TOTAL.fullmatch(line)):
            counts = Total(tool=self.tool, errors=int(total["errors"]), warnings=int(total["warnings"]))
            return (*self._take(), counts)
        if _NOT_THERE.fullmatch(line):
            return (*self._take(), Diagnostic(tool=self.tool, message=cut(line)))
        return None

    def end(self) -> Sequence[Found]:
        self._within_message = False
        return self._take()

    def _open(self, opening: re.Match[str], line: str) -> Sequence[Found]:
        before = self._take()
        self._within_message = True
        if opening[3] != "information":
            self._opening, self._lines, self._room = opening, [], MESSAGE_MAX
            self._go_on(line[opening.end() :])
        return before

    def _go_on(self, line: str) -> None:
        self._room -= len(line) + 1
        if self._room >= 0 or not self._lines:
            self._lines.append(line.rstrip())

    def _take(self) -> tuple[Diagnostic, ...]:
        """The one under way; its rule stands at the end of its last line."""
        opening, self._opening = self._opening, None
        if opening is None:
            return ()
        line, column, level = opening.groups()
        message, code = "\n".join(self._lines), None
        if rule := _RULE.search(self._lines[-1]):
            message, code = message[: -len(rule[0])], rule[1]
        return (
            Diagnostic(
                tool=self.tool,
                path=opening.string[2 : opening.start()],
                line=number(line),
                column=number(column),
                code=code,
                message=cut(message),
                severity=Severity.WARNING if level == "warning" else Severity.ERROR,
            ),
        )
