"""What ``mypy --output=json`` writes: a JSON object in each line, and no summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from wavepool.model.diagnostics import Diagnostic, Found, Severity
from wavepool.plan.diagnostics.base import LineReader
from wavepool.plan.diagnostics.jsonlines import number, object_in, text
from wavepool.plan.diagnostics.messages import cut


class MypyJsonReader(LineReader):
    """Reads ``--output=json``, whose columns count from 0. The hint, where there is one, ends the message."""

    tool: ClassVar[str] = "mypy"
    languages: ClassVar[tuple[str, ...]] = ("python",)
    signs: ClassVar[str | None] = r'^\{"file": "'

    def read(self, line: str) -> Sequence[Found] | None:
        if not line.startswith('{"file": "'):
            return None
        fault = object_in(line)
        if fault is None or "severity" not in fault or "message" not in fault:
            return None
        if fault["severity"] == "note":
            return ()
        column = number(fault.get("column"))
        return (
            Diagnostic(
                tool=self.tool,
                path=text(fault["file"]),
                line=number(fault.get("line")),
                column=None if column is None else column + 1,
                code=text(fault.get("code")),
                message=cut("\n".join(filter(None, (text(fault["message"]), text(fault.get("hint")))))),
                severity=Severity.WARNING if fault["severity"] == "warning" else Severity.ERROR,
            ),
        )
