"""``file:line:column: message`` and its kin, which so many tools write that no reader of their own need know them.

    src/a.py:3:5: E501 line too long          flake8, pycodestyle, yamllint, protoc, eslint -f unix ...
    Makefile:4: *** missing separator.  Stop.
    a.sh: line 3: syntax error                bash -n
    a.ts:3:5 - Unknown word (foo)             cspell
    Dockerfile:3 DL3008 warning: Pin versions hadolint

What only looks like it (a stack trace, a time, an address, a line of a log) is no error: its path must look like a
file's. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from wavepool.model.diagnostics import Diagnostic, Found, Severity
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.messages import cut
from wavepool.plan.diagnostics.places import number

_PATH = r"(?P<path>(?:[A-Za-z]:[\\/])?[^\s:\"<>|*?][^:\"<>|*?]*)"
_COLONS = re.compile(_PATH + r":(?P<line>\d+)(?::(?P<column>\d+))?(?:-\d+(?::\d+)?)?:(?: |\t)\s*(?P<message>\S.*)")
_DASH = re.compile(_PATH + r":(?P<line>\d+):(?P<column>\d+) - (?P<message>\S.*)")
_CODE_NEXT = re.compile(_PATH + r":(?P<line>\d+)(?::(?P<column>\d+))? (?P<message>[A-Z]{2,}\d{3,}\b.*)")
_SHELL = re.compile(_PATH + r": (?:line )?(?P<line>\d+): (?P<message>\S.*)(?P<column>)")
_FORMS = (_COLONS, _DASH, _CODE_NEXT, _SHELL)

_NAMES = re.compile(
    r"(?:GNUm|[Mm])akefile|(?:Docker|Container|Jenkins|Vagrant|Rake|Gem|Proc|[Jj]ust|Brew|Pod|Fast)file"
    r"|BUILD|WORKSPACE|SConstruct|SConscript|Kconfig"
)
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9_+-]{0,11}$")
_HOSTS = re.compile(r"\.(?:com|org|net|io|dev|local|localhost|internal|lan|test|example)$", re.IGNORECASE)
_PROSE = re.compile(
    r"(?:^| )[\[(]?(?:at|in|from|see|on|of|by|for|to|and|errors?|warn|warning|file|line|info|debug|trace|fatal|notice"
    r"|fail|failed|ok|log|verbose|http|critical|exception|caused|panic)[\])]? ",
    re.IGNORECASE,
)

_CODE = re.compile(r"([A-Z]{1,6}\d{2,5})(?:: ?| )(.+)")
_NAMED = re.compile(r"(.+?)\s+[\[(]((?:(?:Error|Warning)/)?@?[a-z][\w/.-]*[a-z0-9])[\])]")
_LEVEL = re.compile(r"\[?(?:error|fatal error|fatal|(warning|warn))\]?:? +(.+)", re.IGNORECASE)
_NO_ERROR = re.compile(r"recipe for target '.*' failed$|\[?(?:note|info|hint|help|remark)(?:\]|:) ", re.IGNORECASE)


class PlainReader(LineReader):
    """Reads, of what no other reader claims, what has the form that editors jump to."""

    tool: ClassVar[str] = "plain"
    languages: ClassVar[tuple[str, ...]] = ()
    signs: ClassVar[str | None] = r":(?:(?<=[A-Za-z_+-]:)|(?<=[A-Za-z]\d:)|(?<=[A-Za-z]\d\d:))\d+[: ]|: (?:line )?\d+: "
    last: ClassVar[bool] = True

    def read(self, line: str) -> Sequence[Found] | None:
        if line[:1].isspace():
            return None
        for form in _FORMS:
            match = form.fullmatch(line)
            if match is not None and looks_like_file(match["path"]):
                return _found(match)
        return None


def looks_like_file(path: str) -> bool:
    """Whether this is likely a file's path, and not a host, a time, or the beginning of a sentence."""
    name = path.replace("\\", "/").rpartition("/")[2]
    if " " in path and _PROSE.search(path):
        return False
    if _NAMES.fullmatch(name):
        return True
    return _EXTENSION.search(name) is not None and (name != path or _HOSTS.search(name) is None)


def _found(match: re.Match[str]) -> Sequence[Found]:
    message = match["message"]
    if _NO_ERROR.match(message):
        return ()
    severity = Severity.ERROR
    code = None
    if (prefix := _CODE.fullmatch(message)) is not None:
        code, message = prefix.groups()
    if (level := _LEVEL.fullmatch(message)) is not None:
        severity = Severity.WARNING if level[1] else Severity.ERROR
        message = level[2]
    if code is None and message.endswith((")", "]")) and (named := _NAMED.fullmatch(message)) is not None:
        message, code = named.groups()
        if code.startswith(("Error/", "Warning/")):  # eslint -f unix
            severity = Severity.WARNING if code.startswith("Warning/") else Severity.ERROR
            code = code.partition("/")[2]
    return (
        Diagnostic(
            tool=PlainReader.tool,
            path=match["path"],
            line=number(match["line"]),
            column=number(match["column"]),
            code=code,
            message=cut(message.removeprefix("*** ")),
            severity=severity,
        ),
    )
