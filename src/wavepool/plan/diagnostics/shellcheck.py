"""shellcheck: for a terminal, in the manner of gcc, and its two JSON documents. Pure.

Shellcheck fails for each of its levels alike, so all are errors. It writes no total.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from wavepool.model.diagnostics import Diagnostic, Found
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.places import number

_HEADING = re.compile(r"In (.+) line (\d+):")
_POINTER = re.compile(r"(\s*)\^(?:--|-*\^) (SC\d+) \((?:error|warning|info|style)\): (.*)")
_GCC = re.compile(r"(.+?):(\d+):(\d+): (?:error|warning|note): (.*) \[(SC\d+)\]")
_UNREADABLE = re.compile(r"(.+): \1: \w+: (.+)")
_TAB = 8


class ShellcheckReader(LineReader):
    """What shellcheck writes for people: a block for each line of a script, with a pointer for each fault in it."""

    tool: ClassVar[str] = "shellcheck"
    languages: ClassVar[tuple[str, ...]] = ("shell", "sh", "bash")
    signs: ClassVar[str | None] = r"^In .+ line \d+:$| \[SC\d+\]$|: openBinaryFile: "

    def __init__(self) -> None:
        self._path: str | None = None
        self._line: int | None = None
        self._source: str | None = None
        """The line of the script that the pointers point into; None: it comes next."""
        self._advice = False

    def read(self, line: str) -> Sequence[Found] | None:
        if self._path is not None and self._source is None:
            self._source = line
            return ()
        if self._path is not None and (match := _POINTER.fullmatch(line)):
            return (self._pointed(match),)
        if match := _HEADING.fullmatch(line):
            self._path, self._line, self._source, self._advice = match[1], number(match[2]), None, False
            return ()
        return self._read_around(line)

    def end(self) -> Sequence[Found]:
        self._path, self._source, self._advice = None, None, False
        return ()

    def _read_around(self, line: str) -> Sequence[Found] | None:
        if line.endswith("]") and (match := _GCC.fullmatch(line)):
            path, row, column, message, code = match.groups()
            return (_diagnostic(path, number(row), number(column), code, message),)
        if ": openBinaryFile: " in line and (match := _UNREADABLE.fullmatch(line)):
            return (_diagnostic(match[1], None, None, None, match[2]),)
        if line.startswith("Did you mean:"):
            self._advice, self._path = True, None
            return ()
        if self._advice and line:
            return ()  # the lines as they might be
        self._advice = False
        return () if line.startswith(("For more information:", "  https://")) else None

    def _pointed(self, match: re.Match[str]) -> Diagnostic:
        column = column_of(self._source or "", len(match[1].expandtabs(_TAB)))
        return _diagnostic(self._path, self._line, column, match[2], match[3])


def column_of(source: str, width: int) -> int:
    """The column, from 1, of what stands `width` cells from the left, where a tab fills up to the next eighth cell."""
    cells = 0
    for place, character in enumerate(source):
        if cells >= width:
            return place + 1
        cells += _TAB - cells % _TAB if character == "\t" else 1
    return len(source) + 1 + max(width - cells, 0)


def _diagnostic(path: str | None, line: int | None, column: int | None, code: str | None, message: str) -> Diagnostic:
    return Diagnostic(tool=ShellcheckReader.tool, path=path, line=line, column=column, code=code, message=message)
