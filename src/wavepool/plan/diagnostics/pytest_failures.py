"""The tests that failed: each of the sections ERRORS and FAILURES, and its line of the short summary, joined."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.diagnostics.messages import MESSAGE_MAX, cut
from wavepool.plan.diagnostics.places import number

FAILED: Final = "FAILED"
ERROR: Final = "ERROR"

HELD_MAX: Final = 1000
"""So many of a kind wait at most for their lines of the summary, which name the file; then they go without."""

SPOTS_MAX: Final = 100
PATH_MAX: Final = 4096
TEXT_LINES_MAX: Final = 20
TEXT_MAX: Final = 400
"""How many characters are kept of a line that is not marked."""

_STAGED = re.compile(r"ERROR at (?P<stage>[a-z]+) of (?P<test>.+)")
_COLLECTING = "ERROR collecting "
_DOCTEST = "[doctest] "
_SPOT = re.compile(r"(?P<path>\S.*?):(?P<line>\d{1,9})(?::(?: (?P<rest>.*))?)?")
_NATIVE = re.compile(r'(?:E  )?[ |+-]*File "(?P<path>.+)", line (?P<line>\d{1,9})(?:, in .*)?')
_NAME = re.compile(r"(?P<name>[A-Za-z_]\w*(?:\.\w+)*)(?::.*|)", re.DOTALL)
_CAUSES = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_CAPTURED = re.compile(r"-+ Captured .* -+")
_NOISE = re.compile(r"(?:_ )+_?|\[gw\d+\] .*")

_SUMMARY = re.compile(
    r"(?P<word>FAILED|ERROR|SUBFAIL(?:ED)?(?P<sub>(?:\[.*?\])?(?: ?\(.*?\))?))"
    r" (?P<path>\S.*?\.(?:py|txt|rst|md|ya?ml|ipynb)(?=::| - |$)|[^\s:]*[./][^\s:]*(?=::| - |$))(?P<rest>.*)"
)
_OTHER_SUMMARY = re.compile(r"(?:PASSED|SKIPPED|XFAIL|XPASS|RERUN|WARNING|SUBPASS\w*|SUBSKIP\w*)\S* |!+ .* !+")


@dataclass(slots=True)
class Failure:
    """One failure of the sections.

    Attributes:
        title: the line above it, such as ``ERROR at setup of test_a``; empty where `--tb=line` gives none.
        told: what pytest marks with ``E``, of the last exception.
        texts: the last lines that are not marked; they tell what is wrong where nothing is marked.
        spots: the files and lines of the traceback, the outermost first.
        name: what pytest names at the end of the traceback, such as ``AssertionError``.
        captured: whether what the test has printed has begun.
    """

    title: str
    told: list[str] = field(default_factory=list)
    texts: deque[str] = field(default_factory=lambda: deque(maxlen=TEXT_LINES_MAX))
    spots: list[tuple[str, int | None]] = field(default_factory=list)
    name: str | None = None
    captured: bool = False
    indent: int = 0
    room: int = MESSAGE_MAX

    def read(self, line: str) -> None:
        """Reads one line under the title."""
        if self.captured or not line:
            return
        if line[0] == "E" and line[1:2] in ("", " "):
            self._tell(line[1:])
        elif line[0].isspace() or line[0] == ">":
            self.texts.append(line[:TEXT_MAX])
        elif line in _CAUSES:
            self.told.clear()
            self.spots.clear()
            self.room = MESSAGE_MAX
        elif _CAPTURED.fullmatch(line):
            self.captured = True
        elif spot := _SPOT.fullmatch(line):
            self._pass(spot)
        elif not _NOISE.fullmatch(line):
            self.texts.append(line[:TEXT_MAX])
        if '"' in line and (native := _NATIVE.fullmatch(line)):
            self._pass(native)

    def line_in(self, path: str) -> int | None:
        """The outermost line of the traceback in this file; None where it does not show the file."""
        for spot, line in self.spots:
            if spot == path or spot.endswith("/" + path) or path.endswith("/" + spot):
                return line
        return None

    @property
    def path(self) -> str | None:
        """The outermost file that is nobody's library; None where the traceback shows no such."""
        own = [path for path, _ in self.spots if "/lib/python" not in path and "site-packages" not in path]
        return own[0] if own else None

    def _tell(self, text: str) -> None:
        if not self.told:
            self.indent = len(text) - len(text.lstrip())
        text = text[min(self.indent, len(text) - len(text.lstrip())) :].rstrip()
        self.room -= len(text) + 1
        if self.room >= 0:
            self.told.append(text)

    def _pass(self, spot: re.Match[str]) -> None:
        if len(self.spots) < SPOTS_MAX and len(spot["path"]) <= PATH_MAX:
            self.spots.append((spot["path"], number(spot["line"])))
        rest = spot.groupdict().get("rest")
        if rest and not rest.startswith("in "):
            self.name = name_of(rest)


class Failures:
    """Joins the sections' failures to the summary's lines: within each kind, pytest tells both in the same order."""

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._held: dict[str, deque[Failure]] = {FAILED: deque(), ERROR: deque()}
        self._early = {FAILED: 0, ERROR: 0}
        """How many went without their lines of the summary; these are passed over then."""
        self._untitled: deque[Failure] = deque(maxlen=HELD_MAX)
        self._summary: list[str] = []
        """A line of the summary, and those that go on with it."""
        self._has_summary = False
        self._open: Failure | None = None

    @property
    def captured(self) -> bool:
        """Whether the lines now are what a test has printed."""
        return self._open is not None and self._open.captured

    def begin(self, kind: str, title: str) -> Sequence[Diagnostic]:
        """A failure's title; what has waited too long."""
        self._open = Failure(title)
        held = self._held[kind]
        held.append(self._open)
        if len(held) <= HELD_MAX:
            return ()
        self._early[kind] += 1
        return (self._without_summary(held.popleft()),)

    def read(self, line: str) -> None:
        """A line under the title; or of `--tb=line`, where there is none."""
        if self._open is not None:
            self._open.read(line)
        elif (spot := _SPOT.fullmatch(line)) and spot["rest"]:
            failure = Failure("", name=name_of(spot["rest"]), spots=[(spot["path"], number(spot["line"]))])
            failure.texts.append(spot["rest"][:TEXT_MAX])
            self._untitled.append(failure)

    def close(self) -> None:
        """The section is over."""
        self._open = None

    def sum_up(self, line: str) -> Sequence[Diagnostic]:
        """A line of the short summary; it may go on with the one before, where messages are not cut to one line."""
        is_failure = _SUMMARY.fullmatch(line) is not None
        if is_failure or _OTHER_SUMMARY.match(line):
            before = self._take_summary()
            self._summary = [line] if is_failure else []
            return before
        if self._summary and len(self._summary) < TEXT_LINES_MAX:
            self._summary.append(line[:MESSAGE_MAX])
        return ()

    def end(self) -> Sequence[Diagnostic]:
        """Everything that has not been told yet: the run of the tests is over."""
        summed_up = self._take_summary()
        alone = [self._without_summary(failure) for held in self._held.values() for failure in held]
        if not self._has_summary:
            alone += [self._without_summary(failure) for failure in self._untitled]
        for held in (*self._held.values(), self._untitled):
            held.clear()
        self._early = dict.fromkeys(self._early, 0)
        self._has_summary, self._open = False, None
        return (*summed_up, *alone)

    def _take_summary(self) -> Sequence[Diagnostic]:
        lines, self._summary = self._summary, []
        summary = _SUMMARY.fullmatch(lines[0]) if lines else None
        if summary is None:
            return ()
        kind = ERROR if summary["word"] == ERROR else FAILED
        self._has_summary = self._has_summary or kind == FAILED
        if self._early[kind]:
            self._early[kind] -= 1
            return ()
        held = self._held[kind]
        return (self._with_summary(summary, lines[1:], held.popleft() if held else Failure("")),)

    def _with_summary(self, summary: re.Match[str], further: list[str], failure: Failure) -> Diagnostic:
        path, rest = summary["path"], summary["rest"]
        stage, title = _stage_and_test(failure.title)
        test, message = _split(rest[2:], title) if rest.startswith("::") else ("", rest.removeprefix(" - "))
        test += summary["sub"] or ""
        message = "\n".join((message, *further)).strip()
        return self._diagnostic(failure, path, _headed(test, stage), message)

    def _without_summary(self, failure: Failure) -> Diagnostic:
        stage, test = _stage_and_test(failure.title)
        if failure.title.startswith(_COLLECTING):
            return self._diagnostic(failure, failure.title.removeprefix(_COLLECTING), "", "")
        return self._diagnostic(failure, failure.path, _headed(test, stage), "")

    def _diagnostic(self, failure: Failure, path: str | None, heading: str, summary: str) -> Diagnostic:
        cut_off = summary.endswith("...")
        told = "\n".join(failure.told) or ("" if cut_off else summary) or "\n".join(failure.texts) or summary
        return Diagnostic(
            tool=self._tool,
            path=path,
            line=failure.line_in(path) if path else None,
            code=failure.name or _name_in(told) or name_of(summary),
            message=cut(f"{heading}: {told or 'failed'}" if heading else told or "could not be collected"),
        )


def _stage_and_test(title: str) -> tuple[str, str]:
    """The stage that a test erred at, empty for the test itself; and the test as the title has it."""
    staged = _STAGED.fullmatch(title)
    return (staged["stage"], staged["test"]) if staged else ("", title.removeprefix(_DOCTEST))


def _headed(test: str, stage: str) -> str:
    return f"{test}, at {stage}" if stage else test


def _split(told: str, title: str) -> tuple[str, str]:
    """A summary's line after the path, into the test and the message; the title of the failure shows where."""
    name, bracket, parameters = title.partition("[")
    for test in (name.replace(".", "::") + bracket + parameters, title):
        if test and (told == test or told.startswith(f"{test} - ")):
            return test, told[len(test) + 3 :]
    test, dash, message = told.partition(" - ")
    if "[" not in test or test.endswith("]"):
        return test, message
    test, dash, message = told.partition("] - ")
    return (test + "]", message) if dash else (told, "")


def name_of(told: str) -> str | None:
    """What an exception's text begins with: its name; ``AssertionError`` where that is left out."""
    if told.startswith("assert "):
        return "AssertionError"
    match = _NAME.fullmatch(told)
    name = match["name"] if match else ""
    return name if name[:1].isupper() or "." in name else None


def _name_in(told: str) -> str | None:
    """The exception's name in the first line; else in the last one, as for faults of syntax."""
    return name_of(told) or name_of(told.rpartition("\n")[2])
