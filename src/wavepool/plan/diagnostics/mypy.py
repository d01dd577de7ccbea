"""What mypy writes: plain, ``--pretty``, with columns and ends, and what makes it give up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar, Final

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.messages import MESSAGE_MAX, cut
from wavepool.plan.diagnostics.places import number

WIDTH_LEAST: Final = 80
"""``--pretty`` wraps messages at the width of the terminal, and at this where there is none."""

_LEVEL = re.compile(r": (error|warning|note):(?: |$)")
_SPOT = re.compile(r":(\d+)(?::(\d+)(?::\d+:\d+)?)?$")
_CODE = re.compile(r"\[([a-z][a-z0-9-]*)\]$")
_CODE_AT_END = re.compile(r"  \[[a-z][a-z0-9-]*\]$")
_PYTHON = (".py", ".pyi", ".ipynb", ".ini", ".cfg", ".toml")
"""What a path ends with in mypy's output; one with another end needs a code in mypy's form to be believed."""

_FOUND = re.compile(
    r"Found (?P<errors>\d{1,9}) errors? in (?P<files>\d{1,9}) files?"
    r" \((?:checked .+|(?P<blocked>errors prevented .+))\)"
)
_SUCCESS = re.compile(r"Success: no issues found(?: in \d+ source files?)?")
_NOTHING_TO_CHECK = re.compile(r"There are no \.py\[i\] files in directory .*")
_UNREADABLE = re.compile(r"mypy: (?P<text>can't (?:read|decode) file '(?P<path>.+?)'.*)")
_NOT_READ = "Cannot read file: "
_MARKS = re.compile(r" +\^[~.]*")
_WORD = re.compile(r'(?:"[^"]*"?|[^ "])*')
"""What is never wrapped within: mypy keeps together what stands between quotes."""


class _Within(Enum):
    """What the line before was, and so what may follow it."""

    NOTHING = auto()
    MESSAGE = auto()
    NOTE = auto()
    SOURCE = auto()


@dataclass(slots=True)
class _Opening:
    """The first line of an error or a note."""

    path: str
    line: str | None
    column: str | None
    level: str
    text: str


@dataclass(slots=True)
class _Fault:
    """An error under way: its opening, the length of its last line, the lines of its message, its notes."""

    opening: _Opening
    length: int
    lines: list[str]
    notes: list[str]
    room: int = MESSAGE_MAX

    def has_room_for(self, text: str) -> bool:
        self.room -= len(text) + 1
        return self.room >= 0


class MypyReader(LineReader):
    """Reads mypy and dmypy. Notes go into the message of the error just before them in the same line of the file."""

    tool: ClassVar[str] = "mypy"
    languages: ClassVar[tuple[str, ...]] = ("python",)
    signs: ClassVar[str | None] = (
        r": (?:error|warning|note):(?: |$)|^Found \d+ errors? in \d+ files? \(|^Success: no issues|^mypy: "
        r"|^There are no \.py\["
    )

    def __init__(self) -> None:
        self._fault: _Fault | None = None
        self._within = _Within.NOTHING
        self._is_pretty = False
        """Whether an excerpt was seen: then each line without a code goes on in the next."""

    def read(self, line: str) -> Sequence[Found] | None:
        if (opening := _opening(line)) is not None:
            return self._open(opening, line)
        if self._within is not _Within.NOTHING and self._goes_on(line):
            return ()
        self._within = _Within.NOTHING
        self._is_pretty = self._is_pretty or _MARKS.fullmatch(line) is not None
        return self._sum_up(line)

    def end(self) -> Sequence[Found]:
        self._within = _Within.NOTHING
        return self._take()

    def _open(self, opening: _Opening, line: str) -> Sequence[Found]:
        if opening.level == "note":
            self._within = _Within.NOTE
            self._note(opening)
            return ()
        self._within = _Within.MESSAGE
        before = self._take()
        self._fault = _Fault(opening, len(line), [opening.text], [])
        return before

    def _note(self, opening: _Opening) -> None:
        fault = self._fault
        note = f"note: {opening.text}"
        if fault is None or opening.line is None or not fault.has_room_for(note):
            return
        if (opening.path, opening.line) == (fault.opening.path, fault.opening.line):
            fault.notes.append(note)

    def _goes_on(self, line: str) -> bool:
        """Whether the line is an excerpt, or goes on with a message that ``--pretty`` has wrapped."""
        if line.startswith("    "):
            was_source = self._within is _Within.SOURCE
            self._within = _Within.NOTHING if was_source else _Within.SOURCE
            has_marks = was_source and _MARKS.fullmatch(line) is not None
            self._is_pretty = self._is_pretty or has_marks
            return has_marks or not was_source
        fault = self._fault
        if self._within is not _Within.MESSAGE or fault is None or not self._is_wrapped(fault, line):
            return False
        fault.length = len(line)
        if fault.has_room_for(line):
            fault.lines.append(line)
        return True

    def _is_wrapped(self, fault: _Fault, line: str) -> bool:
        """Whether the line goes on with a wrapped message: its first word had no place in the line before."""
        if not line or line[0].isspace() or _CODE.search(fault.lines[-1]) or _FOUND.fullmatch(line):
            return False
        word = _WORD.match(line)
        return self._is_pretty or (word is not None and fault.length + 1 + word.end() >= WIDTH_LEAST)

    def _sum_up(self, line: str) -> Sequence[Found] | None:
        if found := _FOUND.fullmatch(line):
            files = None if found["blocked"] else int(found["files"])  # it counts itself where it names no file
            return (*self._take(), Total(tool=self.tool, errors=int(found["errors"]), files=files))
        if _SUCCESS.fullmatch(line):
            return (*self._take(), Total(tool=self.tool, errors=0, files=0))
        if _NOTHING_TO_CHECK.fullmatch(line):
            return (*self._take(), Diagnostic(tool=self.tool, message=cut(line)))
        if unreadable := _UNREADABLE.fullmatch(line):
            message = cut(unreadable["text"])
            return (*self._take(), Diagnostic(tool=self.tool, path=unreadable["path"], message=message))
        return None

    def _take(self) -> tuple[Diagnostic, ...]:
        fault, self._fault = self._fault, None
        return () if fault is None else (_diagnostic(fault),)


def _opening(line: str) -> _Opening | None:
    level = _LEVEL.search(line)
    if level is None or level.start() == 0 or line[0].isspace():
        return None
    path, number_of_line, column = line[: level.start()], None, None
    if spot := _SPOT.search(path):
        path = path[: spot.start()]
        number_of_line, column = spot.groups()
    text = line[level.end() :]
    is_mypys = path.endswith(_PYTHON) or path == "mypy" or (path != "" and _CODE_AT_END.search(line) is not None)
    if not is_mypys and not text.startswith(_NOT_READ):
        return None
    return _Opening(path, number_of_line, column, level[1], text)


def _diagnostic(fault: _Fault) -> Diagnostic:
    text, code = fault.lines[0], None
    if len(fault.lines) > 1:
        text = " ".join(line.rstrip() for line in fault.lines).lstrip()
    if text.endswith("]") and (coded := _CODE.search(text)):
        text, code = text[: coded.start()].rstrip(), coded[1]
    place = fault.opening
    return Diagnostic(
        tool=MypyReader.tool,
        path=None if place.path == "mypy" and place.line is None else place.path,
        line=number(place.line),
        column=number(place.column),
        code=code,
        message=cut("\n".join((text, *fault.notes))) if fault.notes else cut(text),
        severity=Severity.WARNING if place.level == "warning" else Severity.ERROR,
    )
