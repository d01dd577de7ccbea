"""What linkers and the drivers of compilers say, which has often no place in a file. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wavepool.model.diagnostics import Diagnostic, Found, Severity
from wavepool.plan.diagnostics.places import number

_LINKER = re.compile(r"(?:\S*/)?(?:[\w.]+-)*((?:ld(?:\.\w+)?|lld|lld-link|mold|wild)(?:-\d+)?): (\S.*)")
_DRIVER = re.compile(
    r"(?:\S*/)?(?:[\w.]+-)*((?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|clang-cl|clang-tidy|cpp|gfortran|nvcc"
    r"|cc1|cc1plus|cc1obj|f951|collect2|lto1|lto-wrapper|as)(?:-[\d.]+)?): (fatal error|error|warning): (\S.*)"
)
_SYMBOL = (
    r"undefined reference to|multiple definition of|relocation truncated to fit|duplicate symbol"
    r"|undefined symbol|more undefined references to"
)
_REFERENCE = re.compile(rf"(?=\S)(.+?):(?:(\d+):?)?(?:\(([^)]*)\))?: ((?:{_SYMBOL}).*)")
_LEVEL = re.compile(r"(?:(.*?): )?(warning|note|error|fatal error|NOTE|fatal): (\S.*)")
_LLD_PLACE = re.compile(r">>> (?:referenced|defined) (?:by|at) (?:.* \()?(.+?)(?::(\d+))?\)?$")
_OBJECTS = (".o", ".a", ".so", ".obj", ".lib", ".lo")
_MSVC = re.compile(r"(\S+) : (fatal error|error|warning) (LNK\d+|CVT\d+|D\d+) ?: (\S.*)")
_GAVE_UP = re.compile(r"ld returned \d+ exit status|linker command failed with exit code|linking failed")


class LinkerLines:
    """Reads them line by line; the name of the tool in what it tells is the linker's or driver's own."""

    def __init__(self) -> None:
        self._open: Diagnostic | None = None  # of lld, which tells the place below
        self._told = 0  # by linkers, since a driver last said that linking failed

    def read(self, line: str) -> Sequence[Found] | None:
        """As of a `LineReader`."""
        if line.startswith(">>> ") and self._open is not None:
            return self._place(line)
        if "ld" in line and (match := _LINKER.match(line)):
            return self._linker(match[1], match[2])
        tells = "error" in line or "warning" in line
        if tells and (match := _DRIVER.match(line)):
            return self._driver(match[1], match[2], match[3])
        if ("undefined" in line or "multiple definition" in line or "relocation" in line) and (
            match := _REFERENCE.match(line)
        ):
            return self._reference(match)
        match = _MSVC.match(line) if tells and " : " in line else None
        if match is None:
            return None
        severity = Severity.WARNING if match[2] == "warning" else Severity.ERROR
        return (*self.end(), Diagnostic(tool="link", message=match[4], code=match[3], severity=severity))

    def end(self) -> Sequence[Found]:
        """What waited for its place."""
        found = () if self._open is None else (self._open,)
        self._open = None
        return found

    def _linker(self, tool: str, rest: str) -> Sequence[Found]:
        before = self.end()
        reference = _REFERENCE.match(rest)
        if reference is not None:
            return (*before, *self._reference(reference))
        if rest.endswith(":"):
            return before  # in function ...
        level = _LEVEL.match(rest)
        where, word, message = level.groups() if level is not None else (None, "error", rest)
        if word in ("note", "NOTE"):
            return before
        message = f"{message} ({where})" if where else message
        if word == "warning":
            return (*before, Diagnostic(tool="ld", message=message, severity=Severity.WARNING))
        self._told += 1
        told = Diagnostic(tool="ld", message=message)
        if tool.startswith(("ld.lld", "lld")):
            self._open = told
            return before
        return (*before, told)

    def _reference(self, match: re.Match[str]) -> Sequence[Found]:
        path, line, _, message = match.groups()
        if message.startswith("more "):
            return ()
        self._told += 1
        if path.endswith(_OBJECTS):
            return (Diagnostic(tool="ld", message=f"{message} ({path})"),)
        return (Diagnostic(tool="ld", path=path, line=number(line), message=message),)

    def _place(self, line: str) -> Sequence[Found]:
        match = _LLD_PLACE.match(line)
        told = self._open
        if told is None or match is None or match[1].endswith(_OBJECTS) or ".o:(" in match[1]:
            return ()
        self._open = None
        return (Diagnostic(tool=told.tool, path=match[1], line=number(match[2]), message=told.message),)

    def _driver(self, tool: str, kind: str, message: str) -> Sequence[Found]:
        before = self.end()
        if _GAVE_UP.match(message) and self._told:
            self._told = 0
            return before
        severity = Severity.WARNING if kind == "warning" else Severity.ERROR
        message, code = _split(message)
        return (*before, Diagnostic(tool=tool, message=message, code=code, severity=severity))


def _split(message: str) -> tuple[str, str | None]:
    head, bracket, tail = message.rpartition(" [")
    return (head, tail[:-1]) if bracket and tail.startswith("-W") and tail.endswith("]") else (message, None)
