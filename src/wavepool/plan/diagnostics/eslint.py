"""What eslint writes for people: `stylish`, and the formats `unix` and `compact` of older ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from msgspec.structs import replace

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.messages import Pending, cut

_HEADING = re.compile(r"(?:/|[A-Za-z]:[\\/]|\\\\)(?!.*(?::\d|: |\.pyi?$)).*\S|<(?:text|input)>")
"""The file whose problems follow. Always absolute; `.py` heads what pyright tells."""

_PROBLEM = re.compile(r"  +(?P<line>\d{1,9}):(?P<column>\d{1,9})  +(?P<severity>error|warning)  +(?P<message>.*)")
_UNIX = re.compile(
    r"(?P<path>\S.*?):(?P<line>\d{1,9}):(?P<column>\d{1,9}): (?P<message>.*) "
    r"\[(?P<severity>Error|Warning)(?:/(?P<rule>\S+))?\]"
)
_COMPACT = re.compile(
    r"(?P<path>\S.*?): line (?P<line>\d{1,9}), col (?P<column>\d{1,9}), (?P<severity>Error|Warning) - "
    r"(?P<message>.*?)(?: \((?P<rule>[^\s()]+)\))?"
)
_TOTAL = re.compile(r"(?:[✖×] )?\d+ problems?(?: \((?P<errors>\d{1,9}) errors?, (?P<warnings>\d{1,9}) warnings?\))?")
_FIXABLE = re.compile(r"  \d+ errors? and \d+ warnings? potentially fixable with the `--fix` option\.?")

_RULE = re.compile(r"[a-z@][\w@/.-]*")
_WITHOUT_RULE = "Parsing error: "


class EslintReader(LineReader):
    """Reads problems below the heading that names their file, and the total.

    A message of several lines ends with the line that has the rule, or with the blank one after the file's problems.
    """

    tool: ClassVar[str] = "eslint"
    languages: ClassVar[tuple[str, ...]] = ("javascript", "typescript")
    signs: ClassVar[str | None] = (
        r"^(?:/|[A-Za-z]:[\\/]|\\\\|<(?:text|input)>|[✖×] \d+ problem)|^ +\d+:\d+ +(?:error|warning) |"
        r"\[(?:Error|Warning)[/\]]|, col \d+, (?:Error|Warning) - "
    )

    def __init__(self) -> None:
        self._pending = Pending()
        self._heading: str | None = None
        self._goes_on = False
        """Whether the last problem has shown no rule yet, so that its message may go on."""

    def read(self, line: str) -> Sequence[Found] | None:
        if (problem := _PROBLEM.fullmatch(line)) is not None:
            return self._open(problem)
        if self._goes_on and line:
            return self._go_on(line)
        if not line or _FIXABLE.fullmatch(line):
            return self.end()
        if (total := _TOTAL.fullmatch(line)) is not None:
            return (*self.end(), *_total(total))
        if (one := _UNIX.fullmatch(line) or _COMPACT.fullmatch(line)) is not None:
            return (*self.end(), _diagnostic(one, one["path"], one["message"], one["rule"]))
        if _HEADING.fullmatch(line):
            self._heading = None if line.startswith("<") else line
            return self.end()
        return None

    def end(self) -> Sequence[Found]:
        self._goes_on = False
        return self._pending.take()

    def _open(self, problem: re.Match[str]) -> Sequence[Found]:
        before = self.end()
        message, rule = _message_and_rule(problem["message"])
        diagnostic = _diagnostic(problem, self._heading, message, rule)
        if rule is not None:
            return (*before, diagnostic)
        self._pending.begin(diagnostic)
        self._goes_on = True
        return before

    def _go_on(self, line: str) -> Sequence[Found]:
        message, rule = _message_and_rule(line)
        self._pending.go_on(message)
        if rule is None:
            return ()
        self._goes_on = False
        return [replace(diagnostic, code=rule) for diagnostic in self._pending.take()]


def _message_and_rule(text: str) -> tuple[str, str | None]:
    """The columns of a problem: the rule is the last word, at least two blanks after the message."""
    text = text.rstrip()
    message, blanks, rule = text.rpartition("  ")
    if not blanks or text.startswith(_WITHOUT_RULE) or _RULE.fullmatch(rule) is None:
        return text, None
    return message.rstrip(), rule


def _diagnostic(told: re.Match[str], path: str | None, message: str, rule: str | None) -> Diagnostic:
    return Diagnostic(
        tool=EslintReader.tool,
        path=path,
        line=int(told["line"]) or None,
        column=int(told["column"]) or None,
        code=rule,
        message=cut(message),
        severity=Severity(told["severity"].lower()),
    )


def _total(told: re.Match[str]) -> Sequence[Found]:
    if told["errors"] is None:
        return ()
    return (Total(tool=EslintReader.tool, errors=int(told["errors"]), warnings=int(told["warnings"])),)
