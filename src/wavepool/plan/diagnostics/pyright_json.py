"""What ``pyright --outputjson`` writes: one document, its total at the end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.documents import JsonDocument
from wavepool.plan.diagnostics.jsonlines import number, object_of, text
from wavepool.plan.diagnostics.messages import tidy

_HEAD = re.compile(r'\{\s*"version":[^\[{]*"generalDiagnostics":\s*\[')
_LEVELS = {"error": Severity.ERROR, "warning": Severity.WARNING}


class PyrightJsonReader(JsonDocument):
    """Reads ``--outputjson``, whose lines and columns count from 0."""

    tool: ClassVar[str] = "pyright"
    languages: ClassVar[tuple[str, ...]] = ("python",)
    object_keys: ClassVar[tuple[str, ...]] = ("version",)
    wanted: ClassVar[frozenset[str]] = frozenset({"generalDiagnostics.item", "summary"})

    @classmethod
    def recognises(cls, head: str) -> bool:
        return _HEAD.match(head) is not None

    def take(self, place: str, value: Any) -> Sequence[Found]:
        told = object_of(value)
        if place == "summary":
            errors, warnings = number(told.get("errorCount")), number(told.get("warningCount"))
            return (Total(tool=self.tool, errors=errors, warnings=warnings),)
        severity = _LEVELS.get(text(told.get("severity")) or "")
        return () if severity is None else (self._diagnostic(told, severity),)

    def _diagnostic(self, told: dict[str, Any], severity: Severity) -> Diagnostic:
        start = object_of(object_of(told.get("range")).get("start"))
        line, column = number(start.get("line")), number(start.get("character"))
        return Diagnostic(
            tool=self.tool,
            path=text(told.get("file")),
            line=None if line is None else line + 1,
            column=None if column is None else column + 1,
            code=text(told.get("rule")),
            message=tidy((text(told.get("message")) or "").replace("\u00a0", " ")),
            severity=severity,
        )
