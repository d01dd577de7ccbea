"""gcc, g++, clang, their assembler and linkers, and what writes as they do (clang-tidy, MSVC): text. Pure.

    src/a.c:3:5: error: unknown type name 'foo' [-Wsome]     a diagnostic
    src/a.c(3,5): error C2065: 'foo': undeclared             the same as MSVC has it
    cc1: fatal error: a.c: No such file or directory         one without a place
    a.c:(.text+0x5): undefined reference to `f'              the linker's
    3 warnings and 4 errors generated.                       clang's own total of one source file

Notes, excerpts, include chains and the words of a compiler that gives up belong to what came before. gcc writes no
total.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from wavepool.model.diagnostics import Diagnostic, Found, Severity
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.clang_totals import ClangTotals
from wavepool.plan.diagnostics.linking import LinkerLines
from wavepool.plan.diagnostics.messages import cut
from wavepool.plan.diagnostics.places import number

_KINDS = {
    "fatal error": Severity.ERROR,
    "error": Severity.ERROR,
    "internal compiler error": Severity.ERROR,
    "sorry, unimplemented": Severity.ERROR,
    "Error": Severity.ERROR,  # the assembler's
    "Fatal error": Severity.ERROR,
    "warning": Severity.WARNING,
    "Warning": Severity.WARNING,
}
_KIND = "fatal error|error|warning|note|remark|Error|Warning|Fatal error|internal compiler error|sorry, unimplemented"
_PLACED = re.compile(rf"(?=\S)(.+?):(\d+)(?::(\d+))?: ({_KIND}):(?: (.*)|$)")
_MSVC = re.compile(
    r"(?=\S)(.+?)\((\d+)(?:,(\d+))?\) ?: (fatal error|error|warning|note)(?: (?!TS)([A-Z]+\d+))? ?: "
    r"(.*?)(?: \[[^\]]+proj\])?$"
)
_OPTION = re.compile(r"(.*) \[(-W[^\]\s]+|[a-z]\w*[-.][\w.,-]+)\]$", re.DOTALL)
_TOTAL = re.compile(r"(?:(\d+) warnings?)?(?: and )?(?:(\d+) errors?)? generated\.$")
_SUPPRESSED = re.compile(r"Suppressed (\d+) warnings? \(")
_TREATED = re.compile(r"(\d+) warnings? treated as errors?$")
_CONTEXT = re.compile(
    r"In file included from .|(?:In file included| {5,}) *from .+:\d+(?::\d+)?[:,]$"
    r"|.+: (?:In .+|At (?:top level|global scope)):$"
    r"|.+:\d+(?::\d+)?: {2,}\S"  # required from here
    r"|compilation terminated(?: due to .*)?\.$"
    r"|\w+: (?:all|some) warnings being treated as errors$"
    r"|.+: Assembler messages:$"
)
_CONTEXT_ENDS = (":", ",", ".", "treated as errors")
_GUTTER = re.compile(r" *\d* [|+~-](?: |$)")
_OF_OTHERS = re.compile(r"\.(?:pyi?|rs|go|tsx?|jsx?|[mc]js|vue|toml|sh)(?::[\d:]+)?$")
"""Whose errors look the same, and are read by others."""
_EXCERPT_LINES: Final = 3
"""The source, what points into it, and what would be put there: of compilers that do not mark these lines."""
_STOPPED = "fatal error: too many errors emitted, stopping now"
_GCC_SIGNS = ("compilation terminated", "cc1", "In function", "Assembler messages", "collect2", "lto1")


class GccReader(LineReader):
    """What C compilers and their linkers write for people."""

    tool: ClassVar[str] = "gcc"
    languages: ClassVar[tuple[str, ...]] = ("c", "c++", "cpp")
    signs: ClassVar[str | None] = (
        r"rror:|arning: |\): (?:fatal )?(?:error|warning) [A-Z]|\) : (?:error|warning) | : (?:fatal )?error LNK"
        r"|undefined reference to|multiple definition of|ld: | generated\.$"
    )

    def __init__(self) -> None:
        self._linker = LinkerLines()
        self._totals = ClangTotals()
        self._excerpt = 0
        """How many lines may still be an excerpt of what was told last, if they are indented and name no place."""

    def read(self, line: str) -> Sequence[Found] | None:
        if self._excerpt and _GUTTER.match(line):
            self._excerpt = 1
            return ()
        found = self._read_told(line)
        if found is None:
            found = self._read_alone(line)
        if found is None and self._excerpt:
            self._excerpt -= 1
            return () if line.startswith((" ", "\t")) and ":" not in line else None
        return found

    def end(self) -> Sequence[Found]:
        self._excerpt = 0
        return (*self._linker.end(), *self._totals.end(self.tool))

    def _read_told(self, line: str) -> Sequence[Found] | None:
        if "rror" in line or "arning" in line or "note:" in line or "remark:" in line or "sorry, " in line:
            if match := _PLACED.match(line):
                path, row, column, kind, message = match.groups()
                return self._told(path, row, column, kind, message or "", None)
            if ")" in line and (match := _MSVC.match(line)):
                path, row, column, kind, code, message = match.groups()
                return self._told(path, row, column, kind, message, code)
        return self._linker.read(line)

    def _told(
        self, path: str, row: str, column: str | None, kind: str, message: str, code: str | None
    ) -> Sequence[Found] | None:
        if _OF_OTHERS.search(path):
            return None
        self._excerpt = _EXCERPT_LINES
        severity = _KINDS.get(kind)
        if severity is None:
            return ()
        if code is None:
            message, code = split_option(message)
        self._totals.count(severity, path)
        told = Diagnostic(
            tool=self.tool,
            path=path,
            line=number(row),
            column=number(column),
            code=code,
            message=cut(message),
            severity=severity,
        )
        return (*self._linker.end(), told)

    def _read_alone(self, line: str) -> Sequence[Found] | None:
        if line.endswith("generated."):
            match = _TOTAL.fullmatch(line)
            if match is not None and (match[1] or match[2]):
                self._totals.summed(number(match[2]) or 0, number(match[1]) or 0)
                return ()
        if line.startswith(_STOPPED):
            self._totals.stopped()
            return ()
        if line.startswith("Suppressed ") and (match := _SUPPRESSED.match(line)):
            self._totals.correct(0, -(number(match[1]) or 0))
            return ()
        if line.endswith(("treated as error", "treated as errors")) and (match := _TREATED.fullmatch(line)):
            treated = number(match[1]) or 0
            self._totals.correct(treated, -treated)
            return ()
        if not (line.endswith(_CONTEXT_ENDS) or ":  " in line) or _CONTEXT.match(line) is None:
            return None
        if any(sign in line for sign in _GCC_SIGNS):
            self._totals.mixed = True
        return ()


def split_option(message: str) -> tuple[str, str | None]:
    """The message, and the option or check that it ends with: ``[-Werror=unused]`` is ``-Wunused``."""
    if not message.endswith("]"):
        return message, None
    match = _OPTION.fullmatch(message)
    if match is None:
        return message, None
    code = match[2].removesuffix(",-warnings-as-errors").removeprefix("-Werror,").replace("-Werror=", "-W")
    return match[1], code
