"""The tests that ``cargo test`` runs: which failed, where, and why. Pure.

    thread 'tests::adds' (13306) panicked at src/lib.rs:4:25:
    assertion `left == right` failed
      left: -1
     right: 3

    test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.13s

A failure that names no place is told from the list of the failed ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from wavepool.model.diagnostics import Diagnostic, Found, Total
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.messages import Pending
from wavepool.plan.diagnostics.places import number

FAILED_MAX: Final = 10_000
"""So many failures of one test program are kept apart."""

_OUTPUT = re.compile(r"---- (.+?)(?: - should panic)? std(?:out|err) ----")
_PANIC = re.compile(r"thread '(.*?)'(?: \(\d+\))? panicked at (?:(.+?\.rs):(\d+):(\d+):|'(.*)', (.+?\.rs):(\d+):(\d+))")
_FAILED = re.compile(r" {4}(\S.*)")
_EXAMPLE = re.compile(r"(.+\.rs) - .*\(line (\d+)\)(?: - compile.*)?")
_RESULT = re.compile(r"test result: (?:ok|FAILED)\. \d+ passed; (\d+) failed;.*")
_ASIDE = re.compile(
    r"test .+ \.\.\. |running \d+ tests?$|note: (?:run with|Some details)|\s+(?:\d+: |at )|stack backtrace:"
)


class RustTestReader(LineReader):
    """Reads what the test programs of Rust write."""

    tool: ClassVar[str] = "cargo test"
    languages: ClassVar[tuple[str, ...]] = ("rust",)
    signs: ClassVar[str | None] = (
        r"^---- .+ std(?:out|err) ----$|^thread '.*' .*panicked at |^test result: |^failures:$"
    )

    def __init__(self) -> None:
        self._pending = Pending()
        self._name: str | None = None
        """Of the failed test whose output this is."""
        self._told: set[str] = set()
        self._listing = False
        self._in_message = False

    def read(self, line: str) -> Sequence[Found] | None:
        if line.startswith("----") and (match := _OUTPUT.fullmatch(line)):
            before = self._take()
            self._name, self._listing = match[1], False
            return before
        if line.startswith("test result") and (match := _RESULT.fullmatch(line)):
            return self._sum_up(number(match[1]) or 0)
        if line.startswith("thread") and (match := _PANIC.match(line)):
            return self._panicked(match)
        if line == "failures:":
            self._listing = True
            return self._take()
        if self._listing and (match := _FAILED.fullmatch(line)):
            return self._listed(match[1])
        return self._read_message(line)

    def end(self) -> Sequence[Found]:
        return self._take()

    def _panicked(self, match: re.Match[str]) -> Sequence[Found]:
        before = self._take()
        name = self._name or match[1]
        if name in self._told:
            return before  # another thread of it
        if len(self._told) < FAILED_MAX:
            self._told.add(name)
        path, row, column = (match[2], match[3], match[4]) if match[2] else (match[6], match[7], match[8])
        said = "main panicked" if name == "main" else f"test {name} failed"
        said = f"{said}: {match[5]}" if match[5] else said
        self._pending.begin(
            Diagnostic(tool=self.tool, path=path, line=number(row), column=number(column), code="test", message=said)
        )
        self._in_message = match[5] is None
        return before

    def _read_message(self, line: str) -> Sequence[Found] | None:
        if _ASIDE.match(line):
            self._in_message = False
            return ()
        if self._in_message:
            if line:
                self._pending.go_on(line)
            else:
                self._in_message = False
            return ()
        if not line or self._listing:
            return ()
        return None

    def _listed(self, name: str) -> Sequence[Found]:
        if name in self._told:
            return ()
        if len(self._told) < FAILED_MAX:
            self._told.add(name)
        example = _EXAMPLE.fullmatch(name)
        return (
            Diagnostic(
                tool=self.tool,
                path=example[1] if example else None,
                line=number(example[2]) if example else None,
                code="test",
                message=f"test {name} failed",
            ),
        )

    def _sum_up(self, failed: int) -> Sequence[Found]:
        before = self._take()
        self._told.clear()
        self._name, self._listing = None, False
        return (*before, Total(tool=self.tool, errors=failed))

    def _take(self) -> Sequence[Found]:
        self._in_message = False
        return self._pending.take()
