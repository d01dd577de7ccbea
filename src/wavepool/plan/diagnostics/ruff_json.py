"""What ``ruff check --output-format json`` and ``json-lines`` write, and ``format --check`` with these."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from wavepool.model.diagnostics import Diagnostic, Found
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.documents import JsonDocument
from wavepool.plan.diagnostics.jsonlines import number, object_in, object_of, text
from wavepool.plan.diagnostics.ruff import FORMAT, SYNTAX, UNFORMATTED

_HEAD = re.compile(r'\[\s*\{\s*"(?:cell|code)":(?=.*"end_location":)', re.DOTALL)
_LINE_HEAD = re.compile(r'\{"(?:cell|code)":')


class RuffJsonReader(JsonDocument):
    """Reads ``json``: one array, no total."""

    tool: ClassVar[str] = "ruff"
    languages: ClassVar[tuple[str, ...]] = ("python",)
    entry_keys: ClassVar[tuple[str, ...]] = ("cell", "code")
    wanted: ClassVar[frozenset[str]] = frozenset({"item"})

    @classmethod
    def recognises(cls, head: str) -> bool:
        return _HEAD.match(head) is not None

    def take(self, place: str, value: Any) -> Sequence[Found]:
        return _found(object_of(value))


class RuffJsonLinesReader(LineReader):
    """Reads ``json-lines``: the same objects, one in each line."""

    tool: ClassVar[str] = "ruff"
    languages: ClassVar[tuple[str, ...]] = ("python",)
    signs: ClassVar[str | None] = r'^\{"(?:cell|code)":.*"end_location":'

    def read(self, line: str) -> Sequence[Found] | None:
        fault = object_in(line) if _LINE_HEAD.match(line) else None
        return None if fault is None else _found(fault) or None


def _found(fault: dict[str, Any]) -> Sequence[Diagnostic]:
    path, message, place = text(fault.get("filename")), text(fault.get("message")), object_of(fault.get("location"))
    if path is None or message is None:
        return ()
    code, cell = text(fault.get("code")), number(fault.get("cell"))
    return (
        Diagnostic(
            tool=FORMAT if code == UNFORMATTED else RuffJsonReader.tool,
            path=path,
            line=number(place.get("row")),
            column=number(place.get("column")),
            code=code or (SYNTAX if message.startswith("SyntaxError: ") else None),
            message=message if cell is None else f"{message} (in cell {cell})",
        ),
    )
