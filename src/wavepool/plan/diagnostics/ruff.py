"""What ruff writes for people: ``check`` in its forms full (old and new), concise and grouped; ``format --check``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from msgspec.structs import replace

from wavepool.model.diagnostics import Diagnostic, Found, Total
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.messages import Pending, cut
from wavepool.plan.diagnostics.places import number

FORMAT: Final = "ruff format"
"""The tool that unformatted files are of, and the total of these."""

PARSING: Final = "ruff format, parsing"
"""The tool that faults of syntax are of which `ruff format` tells: neither its total counts them, nor that of check."""

SYNTAX: Final = "invalid-syntax"
UNFORMATTED: Final = "unformatted"

HELD_MAX: Final = 1000
"""So many faults of syntax wait at most until it is known whether they are of check or of format; then: of check."""

_NAMED = r"[A-Z]{1,7}\d{3,4}|SyntaxError:|[a-z][a-z0-9-]+(?::|(?= \[\*\] ))"
_RULE = rf"(?P<code>{_NAMED}) (?:\[\*\] )?(?P<message>.*)"
_SPOT = r"(?:cell (?P<cell>\d+):)?(?P<line>\d+):(?P<column>\d+)"
_CONCISE = re.compile(rf":{_SPOT}: {_RULE}")
_GROUPED = re.compile(rf" +{_SPOT} +{_RULE}")
_HEADING = re.compile(_RULE)
_ARROW = re.compile(rf" *--> (?P<path>\S.*?):{_SPOT}")
_EXCERPT = re.compile(r" *\d* *[|+-](?: |$)|-{40,}$| *= |(?:help|note|info): | *::: | *\.\.\.$")

_NO_RULES = frozenset({"error:", "warning:", "note:", "help:", "info:", "information:", "fatal:", "hint:"})
"""Names that other tools have at this place, for how grave a fault is."""

_RULES_OF_ANY_FILE = frozenset({SYNTAX, UNFORMATTED})
_PYTHON = (".py", ".pyi", ".ipynb")

_FOUND = re.compile(r"Found (?P<all>\d{1,9}) errors?(?: \(\d+ fixed, (?P<left>\d{1,9}) remaining\))?\.")
_FORMATTED = re.compile(
    r"(?P<would>\d{1,9}) files? would be reformatted(?:, \d+ files? (?:already formatted|left unchanged))?"
    r"|\d+ files? already formatted"
)
_WOULD = "Would reformat: "
_UNPARSED = re.compile(rf"error: Failed to (?:parse|format|read) (?P<path>.+?)(?::{_SPOT})?: (?P<message>.*)")
_ADVICE = re.compile(r"\[\*\] \d+ (?:potentially )?fixable with |No fixes available|\d+ unsafe fix(?:es)? available")


class RuffReader(LineReader):
    """Reads ruff's diagnostics without their excerpts and proposed fixes, and the totals of check and format."""

    tool: ClassVar[str] = "ruff"
    languages: ClassVar[tuple[str, ...]] = ("python",)
    signs: ClassVar[str | None] = (
        rf": (?<=\d: )(?:{_NAMED}) |^(?:{_NAMED}) |^ *--> .*:\d+:\d+$|:(?<=\S:)$"
        rf"|^ +(?:cell \d+:)?\d+:\d+ +(?:{_NAMED}) "
        r"|^Found \d+ errors?(?:\.$| \(\d+ fixed)|^All checks passed!|^\d+ files? (?:would be re|already )format"
        r"|^Would reformat: |^ruff failed$"
    )

    def __init__(self) -> None:
        self._heading: re.Match[str] | None = None
        self._group = ""
        self._within = False
        self._held: list[Diagnostic] = []
        self._told = 0
        """How many check has told since its last total."""
        self._failure = Pending()

    def read(self, line: str) -> Sequence[Found] | None:
        heading, self._heading = self._heading, None
        if self._within and (not line or _EXCERPT.match(line)):
            self._within = bool(line)
            return ()
        if line.startswith((" ", "-->")):
            return self._read_indented(line, heading)
        if (diagnostic := _concise(line)) is not None:
            return self._tell(diagnostic)
        self._within = False
        if (summary := self._sum_up(line)) is not None:
            return summary
        return self._announce(line)

    def end(self) -> Sequence[Found]:
        self._within = False
        self._group = ""
        return (*self._release(self.tool), *self._failure.take())

    def _read_indented(self, line: str, heading: re.Match[str] | None) -> Sequence[Found] | None:
        if heading is not None and (arrow := _ARROW.fullmatch(line)):
            return self._tell(_diagnostic(arrow["path"], arrow, heading))
        if self._group and (grouped := _GROUPED.fullmatch(line)) and grouped["code"] not in _NO_RULES:
            return self._tell(_diagnostic(self._group, grouped, grouped))
        self._within = False
        if line.startswith("  Cause: "):
            self._failure.go_on(line)
            return ()
        return None

    def _announce(self, line: str) -> Sequence[Found] | None:
        """Keeps the first line of a diagnostic, or the path over a group of them, until the next line tells more."""
        self._group = line[:-1] if line.endswith(":") else ""
        heading = _HEADING.fullmatch(line)
        if heading is None or heading["code"] in _NO_RULES:
            return () if self._group.endswith(_PYTHON) else None
        self._heading = heading
        return () if heading["code"][0].isupper() or _code(heading) in _RULES_OF_ANY_FILE else None

    def _tell(self, diagnostic: Diagnostic) -> Sequence[Found]:
        self._within = True
        if diagnostic.code == SYNTAX:
            self._held.append(diagnostic)
            return self._release(self.tool) if len(self._held) >= HELD_MAX else ()
        if diagnostic.code == UNFORMATTED:
            return (*self._release(PARSING), replace(diagnostic, tool=FORMAT))
        before = self._release(self.tool)
        self._told += 1
        return (*before, diagnostic)

    def _release(self, tool: str) -> Sequence[Diagnostic]:
        """The faults of syntax that waited for the name of their tool."""
        held, self._held = self._held, []
        if tool == self.tool:
            self._told += len(held)
            return held
        return [replace(diagnostic, tool=tool) for diagnostic in held]

    def _sum_up(self, line: str) -> Sequence[Found] | None:
        if found := _FOUND.fullmatch(line):
            return self._sum_up_check(int(found["left"] or found["all"]), surely=found["left"] is not None)
        if line == "All checks passed!":
            return self._sum_up_check(0, surely=True)
        if formatted := _FORMATTED.fullmatch(line):
            count = int(formatted["would"] or 0)
            return (*self._release(PARSING), Total(tool=FORMAT, errors=count, files=count))
        if line.startswith(_WOULD):
            path = line.removeprefix(_WOULD)
            return (Diagnostic(tool=FORMAT, path=path, code=UNFORMATTED, message="File would be reformatted"),)
        if unparsed := _UNPARSED.fullmatch(line):
            return (replace(_diagnostic(unparsed["path"], unparsed, unparsed), tool=PARSING, code=SYNTAX),)
        if line == "ruff failed":
            self._failure.begin(Diagnostic(tool=self.tool, message=line))
            return ()
        return () if _ADVICE.match(line) else None

    def _sum_up_check(self, count: int, *, surely: bool) -> Sequence[Found] | None:
        """The total of check, if it is one: TypeScript's compiler has a total in the same words."""
        before = self._release(self.tool)
        if not surely and not self._told:
            return None
        self._told = 0
        return (*before, Total(tool=self.tool, errors=count))


def _concise(line: str) -> Diagnostic | None:
    if ": " not in line:
        return None
    concise = _CONCISE.search(line)
    if concise is None or concise["code"] in _NO_RULES:
        return None
    path = line[: concise.start()]
    is_known = concise["code"][0].isupper() or _code(concise) in _RULES_OF_ANY_FILE
    return _diagnostic(path, concise, concise) if path and (is_known or path.endswith(_PYTHON)) else None


def _code(rule: re.Match[str]) -> str:
    code = rule["code"].removesuffix(":")
    return SYNTAX if code == "SyntaxError" else code


def _diagnostic(path: str, spot: re.Match[str], rule: re.Match[str]) -> Diagnostic:
    """Args: `spot`: has ``cell``, ``line`` and ``column``. `rule`: has ``message``, and ``code`` if there is one."""
    cell = f" (in cell {spot['cell']})" if spot["cell"] else ""
    return Diagnostic(
        tool=RuffReader.tool,
        path=path,
        line=number(spot["line"]),
        column=number(spot["column"]),
        code=_code(rule) if "code" in rule.re.groupindex else None,
        message=cut(rule["message"] + cell),
    )
