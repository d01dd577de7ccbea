"""rustc, cargo, clippy and what writes as they do: text, short text, and the lines of their JSON. Pure.

    error[E0308]: mismatched types                    a heading
     --> src/main.rs:3:5                              its place; a second one is of a note
      |
    3 |     a.cents
      |     ^^^^^^^ expected `String`, found `i64`    what is wrong there: it is added to the message
      = note: ...

    src/main.rs:3:5: error[E0308]: mismatched types: expected `String`, found `i64`

What has no place is cargo's own, or the linker's. Sums are compared by `rust_totals`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from wavepool.model.diagnostics import Diagnostic, Found, Severity
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.messages import cut
from wavepool.plan.diagnostics.places import number
from wavepool.plan.diagnostics.rust_totals import RustTotals
from wavepool.plan.diagnostics.rustc_json import FURTHER_MAX, looks_like_message, read_message, worth_telling

_HEADING = re.compile(r"(error|warning)(?:\[([\w:./@-]+)\])?: (?!Failed to |Recipe )(.+)")
"""Not ruff's, nor just's, which write the same."""
_SHORT = re.compile(
    r"(?=\S)(.+?\.(?:rs|toml)):(\d+):(\d+): (error|warning|note|help)(?:\[([\w:]+)\])?: (.*)"
    r"|(?=\S)(.+?):(\d+):(\d+): (error|warning)\[(E\d{4})\]: (.*)"
)
_PLACE = re.compile(r" *--> (.+?)(?::(\d+):(\d+))?$")
_LABEL = re.compile(r"\s+\|.*\^ ([^\s^|-].*)")
_ADVICE = re.compile(r"(?:   *= |(?=[hn]))((?:help|note): .+)")
_BLOCK = re.compile(r"\s|\d+ *[|~+-]|\.\.\.|(?:help|note): ")
_STATUS = re.compile(r" {1,11}[A-Z][\w-]+(?= )")
_UNSURE_BLOCK = re.compile(r" *(?:--> |\d* *\||= | {6})|\d+ *\|")
_CARGO = re.compile(
    r"\S+@\d|could not (?:find `Cargo|compile|document|read|execute)|failed to \w+ |no such (?:command|file)"
    r"|no matching |no (?:bin|example|test|library|bench)|linking with `|couldn't read"
    r"|(?:the )?(?:lock|manifest|package) |cannot |can't find|internal compiler error|unused manifest key"
    r"|virtual manifest|toolchain |process didn't exit|cyclic package"
    r"|two packages|feature `|unresolved|`main` function not found"
)
_ECHO = re.compile(r"build failed|(?:test|doctest|bench) failed, to rerun|\d+ targets? failed|command failed|script \"")
_ASIDE = ("Some errors have detailed explanations", "For more information about")
_OF_RUST = (".rs", ".toml", ".lock")


class _Block:
    """A heading, and what stood below it so far."""

    __slots__ = ("_further", "code", "column", "labelled", "line", "message", "path", "severity")

    def __init__(self, severity: Severity, code: str | None, message: str) -> None:
        self.severity = severity
        self.code = code
        self.message = message
        self.path: str | None = None
        self.line: int | None = None
        self.column: int | None = None
        self.labelled = False
        self._further: list[str] = []

    def add(self, text: str) -> None:
        if len(self._further) < FURTHER_MAX and worth_telling(text):
            self._further.append(text)

    def diagnostic(self, tool: str) -> Diagnostic:
        return Diagnostic(
            tool=tool,
            path=self.path,
            line=self.line,
            column=self.column,
            code=self.code,
            message=cut("\n".join((self.message, *self._further)) if self._further else self.message),
            severity=self.severity,
        )


class RustcReader(LineReader):
    """What the Rust compiler and cargo write."""

    tool: ClassVar[str] = "rustc"
    languages: ClassVar[tuple[str, ...]] = ("rust",)
    signs: ClassVar[str | None] = (
        r"^(?:error|warning)[:\[]|\.rs:\d+:\d+: |\.toml:\d+:\d+: |: error\[E\d"
        r"|^\{\"(?:reason|\$message_type|message)\":"
    )

    def __init__(self) -> None:
        self._open: _Block | None = None
        self._block: re.Pattern[str] | None = None
        """What the lines look like that go on with what is open."""
        self._rust = False
        """Whether this is certainly Rust's, so that a heading without a place is too."""
        self._totals = RustTotals()

    def read(self, line: str) -> Sequence[Found] | None:
        if self._block is not None:
            if not line or line.isspace():
                return self._blank()
            if self._block.match(line) and not _is_status(line):
                self._go_on(line)
                return ()
            self._block = None
        if not line:
            return () if self._rust else None
        if line.startswith("{"):
            return self._read_json(line)
        if line.startswith(("error", "warning")) and (heading := _HEADING.fullmatch(line)):
            return self._head(*heading.groups())
        if ".rs:" in line or "[E" in line or ".toml:" in line:
            short = _SHORT.fullmatch(line)
            return None if short is None else self._short([group for group in short.groups() if group is not None])
        return self._read_aside(line)

    def end(self) -> Sequence[Found]:
        self._block = None
        return (*self._take(), *self._totals.end(self.tool))

    def _read_aside(self, line: str) -> Sequence[Found] | None:
        if line.startswith("Caused by:") and self._open is not None:
            self._block = _BLOCK
            return ()
        return () if self._rust and (_is_status(line) or line.startswith(_ASIDE)) else None

    def _head(self, word: str, code: str | None, message: str) -> Sequence[Found]:
        before = self._take()
        if code is None and self._totals.read(word, message):
            self._rust = True
            return before
        if code is None and _ECHO.match(message):
            return before
        self._rust = self._rust or _CARGO.match(message) is not None
        self._open = _Block(Severity.ERROR if word == "error" else Severity.WARNING, code, message)
        self._block = _BLOCK if self._rust or code is not None else _UNSURE_BLOCK
        return before

    def _go_on(self, line: str) -> None:
        """A line of the block below a heading."""
        told = self._open
        if told is None:
            return
        if told.path is None and (place := _PLACE.fullmatch(line)):
            told.path, told.line, told.column = place[1], number(place[2]), number(place[3])
            self._rust = self._rust or told.path.endswith(_OF_RUST)
            self._block = _BLOCK
        elif not told.labelled and "^ " in line and (label := _LABEL.match(line)):
            told.labelled = True
            told.message = f"{told.message}: {label[1]}"
        elif advice := _ADVICE.match(line):
            told.add(advice[1])
        elif told.path is None and "|" not in line[:8]:
            told.add(line.strip())  # of the heading itself, or of what caused it

    def _blank(self) -> Sequence[Found]:
        """Ends a block; but the causes of what has no place stand below."""
        self._block = None
        return () if self._open is not None and self._open.path is None else self._take()

    def _take(self) -> Sequence[Found]:
        told, self._open = self._open, None
        if told is None:
            return ()
        if told.path is None and told.severity is Severity.WARNING and not _CARGO.match(told.message):
            return ()  # the word of any program
        if told.path is None:
            certain = self._rust or told.code is not None
        else:
            certain = self._rust or told.path.endswith(_OF_RUST)
        if certain:
            self._totals.count(told.severity, placed=told.path is not None)
        return (told.diagnostic(self.tool if certain else "plain"),)

    def _short(self, groups: list[str]) -> Sequence[Found]:
        path, row, column, word = groups[:4]
        before = self._take()
        self._rust = True
        if word not in ("error", "warning"):
            return before
        severity = Severity.ERROR if word == "error" else Severity.WARNING
        self._totals.count(severity, placed=True)
        told = Diagnostic(
            tool=self.tool,
            path=path,
            line=number(row),
            column=number(column),
            code=groups[4] if len(groups) > 5 else None,
            message=cut(groups[-1]),
            severity=severity,
        )
        return (*before, told)

    def _read_json(self, line: str) -> Sequence[Found] | None:
        if not looks_like_message(line):
            return None
        before = self._take()
        told = read_message(line, self.tool)
        if told is None:
            return before
        word = "error" if told.severity is Severity.ERROR else "warning"
        if (
            told.path is None
            and told.code is None
            and (self._totals.read(word, told.message) or _ECHO.match(told.message))
        ):
            return before
        self._totals.count(told.severity, placed=told.path is not None)
        return (*before, told)


def _is_status(line: str) -> bool:
    """Whether cargo says here what it does: ``Checking``, ``Finished`` and the like end in the twelfth column."""
    match = _STATUS.match(line)
    return match is not None and match.end() == 12
