"""What eslint writes with `--format json` and `--format json-with-metadata`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.documents import JsonDocument
from wavepool.plan.diagnostics.messages import tidy

_HEAD = re.compile(r'(?:\{\s*"results"\s*:\s*)?\[\s*\{\s*"filePath"\s*:')
_SEVERITIES = {1: Severity.WARNING, 2: Severity.ERROR}
_FILE = ("filePath", "errorCount", "warningCount")
_MESSAGE = ("ruleId", "severity", "message", "line", "column", "fatal")


class EslintJsonReader(JsonDocument):
    """Reads each message of each file, and adds up the counts that eslint gives for each file."""

    tool: ClassVar[str] = "eslint"
    languages: ClassVar[tuple[str, ...]] = ("javascript", "typescript")
    object_keys: ClassVar[tuple[str, ...]] = ("results",)
    entry_keys: ClassVar[tuple[str, ...]] = ("filePath",)
    wanted: ClassVar[frozenset[str]] = frozenset(
        place
        for results in ("item", "results.item")
        for place in (*(f"{results}.{name}" for name in _FILE), f"{results}.messages.item")
    )

    def __init__(self) -> None:
        super().__init__()
        self._path: str | None = None
        self._errors = 0
        self._warnings = 0
        self._files = 0

    @classmethod
    def recognises(cls, head: str) -> bool:
        return _HEAD.match(head) is not None

    def take(self, place: str, value: Any) -> Sequence[Found]:
        name = place.removesuffix(".item").rpartition(".")[2]
        if name == "messages":
            return self._message(value) if isinstance(value, dict) else ()
        if name == "filePath":
            self._path = tidy(value) if isinstance(value, str) and value != "<text>" else None
        elif isinstance(value, int) and name == "errorCount":
            self._errors += value
            self._files += value > 0
        elif isinstance(value, int):
            self._warnings += value
        return ()

    def finish(self) -> Sequence[Found]:
        return (Total(tool=self.tool, errors=self._errors, warnings=self._warnings, files=self._files),)

    def _message(self, told: dict[str, Any]) -> Sequence[Found]:
        severity = _SEVERITIES.get(told.get("severity", 0)) if isinstance(told.get("severity"), int) else None
        message = told.get("message")
        if severity is None or not isinstance(message, str):
            return ()
        rule = told.get("ruleId")
        return (
            Diagnostic(
                tool=self.tool,
                path=self._path,
                line=_position(told.get("line")),
                column=_position(told.get("column")),
                code=tidy(rule) if isinstance(rule, str) else None,
                message=tidy(message),
                severity=Severity.ERROR if told.get("fatal") is True else severity,
            ),
        )


def _position(number: Any) -> int | None:
    return number if isinstance(number, int) and number > 0 else None
