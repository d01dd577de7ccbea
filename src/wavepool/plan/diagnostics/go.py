"""go build, go vet, go test, gofmt and what writes as they do: text, and the events of ``-json``. Pure.

    # example.com/shop                                a heading
    ./main.go:3:5: undefined: foo                     an error; lines with a tab go on with it
    vet: ./main.go:1:2: expected ')'                  vet's, where the package cannot be read
    package a: import cycle not allowed               of a package, without a place

Go writes no total, and stops at ten errors of a package ("too many errors"), which is no error itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from wavepool.model.diagnostics import Diagnostic, Found
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.go_tests import FailedTests
from wavepool.plan.diagnostics.messages import Pending
from wavepool.plan.diagnostics.places import number

_PLACED = re.compile(
    r"(?:vet: )?(?=\S)((?:[A-Za-z]:[\\/])?[^:\"]*(?:\.go|\bgo\.mod|\bgo\.work)):(\d+)(?::(\d+))?: (.+)"
)
_CHECK = re.compile(r"(.+) \(([A-Z]{1,3}\d{4})\)")
_TWO_PACKAGES = re.compile(r"(?:package \S+: )?found packages .+ \(.+\) and .+ \((.+)\) in (.+)")
_OF_A_PACKAGE = re.compile(
    r"package \S.*(?::|\bis not\b).*|package [^\s:]+|malformed import path .+|no Go files in .+|no required module .+"
    r"|stat .+: directory not found|pattern .+: .+|cannot find (?:package|module|main module).+|(?:build|import) .+: .+"
    r"|build constraints exclude all Go files in .+|directory .+ outside .+|named files must .+|flag provided but .+"
)
_OF_THE_LINKER = (": function main is undeclared in the main package", ": relocation target ")
_GO_SAYS = re.compile(
    r"go: (?!(?:downloading|finding|found|added|upgraded|downgraded|extracting|creating|removed|warning:|errors) )(.+)"
)
_ASIDE = re.compile(
    r"go: |# |FAIL(?:\t|$)|ok  \t|\?   \t|PASS$|too many errors$|=== (?:RUN|PAUSE|CONT|NAME) |exit status \d"
)
_FAILED_TEST = re.compile(r"--- FAIL: (\S.*?) \([\d.]+s\)")
_FAILED_PACKAGE = re.compile(r"FAIL\t(\S+)\t")
_LOGGED = re.compile(r"[ \t]+\S+_test\.go:\d+: |\t| {8}")


class _Event(msgspec.Struct):
    """A line of ``go test -json`` or ``go build -json``."""

    Action: str = ""
    Package: str = ""
    Test: str = ""
    Output: str = ""


_EVENT = msgspec.json.Decoder(_Event)


class GoReader(LineReader):
    """What the go command and its tools write."""

    tool: ClassVar[str] = "go"
    languages: ClassVar[tuple[str, ...]] = ("go",)
    signs: ClassVar[str | None] = (
        r"\.go:\d|go\.(?:mod|work):\d|^go: |^package |^malformed import|^found packages|^no Go files"
        r"|^no required module|^stat |^pattern |^build |^cannot find |^ *--- FAIL: |^\{\"(?:Time|ImportPath|Action)\":"
        r"|^=== (?:RUN|CONT|NAME) |: function main is undeclared|: relocation target "
    )

    def __init__(self) -> None:
        self._pending = Pending()
        self._tests = FailedTests()
        self._goes_on: re.Pattern[str] | None = None
        """What the lines look like that go on with what is pending."""

    def read(self, line: str) -> Sequence[Found] | None:
        if self._goes_on is not None and self._goes_on.match(line):
            self._pending.go_on(line.strip())
            self._tests.log(line)
            return ()
        if line.startswith("{"):
            return self._read_event(line)
        return self._read_opening(line)

    def end(self) -> Sequence[Found]:
        self._goes_on = None
        return (*self._take(), *self._tests.end())

    def _read_event(self, line: str) -> Sequence[Found] | None:
        if not line.startswith(('{"Time":', '{"ImportPath":', '{"Action":')):
            return None
        try:
            event = _EVENT.decode(line)
        except (msgspec.MsgspecError, ValueError):
            return None
        if event.Action not in ("output", "build-output") or event.Output.startswith("{"):
            return ()
        if event.Test:
            self._tests.log_of(event.Package, event.Test, event.Output)
        return self.read(event.Output.rstrip("\n")) or ()

    def _read_opening(self, line: str) -> Sequence[Found] | None:
        if "go" in line and (match := _PLACED.fullmatch(line)):
            if match[4] == "too many errors":
                return self.end()
            return self._open(_placed(match), _TABBED)
        if "--- FAIL: " in line and (match := _FAILED_TEST.match(line.lstrip(" "))):
            before = self._open(Diagnostic(tool=self.tool, code="test", message=f"{match[1]} failed"), _LOGGED)
            self._tests.begin(match[1])
            return before
        if "found packages " in line and (match := _TWO_PACKAGES.fullmatch(line)):
            return self._open(Diagnostic(tool=self.tool, path=f"{match[2]}/{match[1]}", message=line), _TABBED)
        if _OF_A_PACKAGE.fullmatch(line) or any(word in line for word in _OF_THE_LINKER):
            return self._open(Diagnostic(tool=self.tool, message=line), _TABBED)
        if match := _GO_SAYS.fullmatch(line):
            return self._open(Diagnostic(tool=self.tool, message=match[1]), _TABBED)
        self._goes_on = None
        if self._tests.runs(line) or (not line and self._tests.held):
            return self._take()
        if failed := _FAILED_PACKAGE.match(line):
            return (*self._take(), *self._tests.of_package(failed[1]))
        return self._take() if _ASIDE.match(line) else None

    def _open(self, diagnostic: Diagnostic, goes_on: re.Pattern[str]) -> Sequence[Found]:
        before = self._take()
        self._pending.begin(diagnostic)
        self._goes_on = goes_on
        return before

    def _take(self) -> Sequence[Found]:
        """What was under way and is complete: a test that failed is held until its package is told."""
        return [one for each in self._pending.take() for one in self._tests.hold(each)]


_TABBED = re.compile(r"\t")


def _placed(match: re.Match[str]) -> Diagnostic:
    path, line, column, message = match.groups()
    check = _CHECK.fullmatch(message)
    return Diagnostic(
        tool=GoReader.tool,
        path=path,
        line=number(line),
        column=number(column),
        code=check[2] if check else None,
        message=check[1] if check else message,
    )
