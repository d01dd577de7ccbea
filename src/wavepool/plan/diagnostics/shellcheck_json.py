"""The documents of shellcheck: ``--format=json1``, and ``json``, whose columns count a tab as it stands (up to 8)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from wavepool.model.diagnostics import Diagnostic, Found
from wavepool.plan.diagnostics.documents import JsonDocument
from wavepool.plan.diagnostics.messages import tidy
from wavepool.plan.diagnostics.places import from_one

_HEAD = re.compile(r'(?:\{\s*"comments":\s*)?\[\s*\{\s*"file":.{1,3000}?"endLine":.{1,200}?"code":\s*\d', re.DOTALL)


class ShellcheckJsonReader(JsonDocument):
    """Reads both; the first is an object, the second an array."""

    tool: ClassVar[str] = "shellcheck"
    languages: ClassVar[tuple[str, ...]] = ("shell", "sh", "bash")
    object_keys: ClassVar[tuple[str, ...]] = ("comments",)
    entry_keys: ClassVar[tuple[str, ...]] = ("file",)
    wanted: ClassVar[frozenset[str]] = frozenset(["item", "comments.item"])

    @classmethod
    def recognises(cls, head: str) -> bool:
        return _HEAD.match(head) is not None

    def take(self, place: str, value: Any) -> Sequence[Found]:
        if not isinstance(value, dict):
            return ()
        path, code = value.get("file"), value.get("code")
        return (
            Diagnostic(
                tool=self.tool,
                path=path if isinstance(path, str) else None,
                line=from_one(value.get("line")),
                column=from_one(value.get("column")),
                code=f"SC{code}" if isinstance(code, int) else None,
                message=tidy(str(value.get("message", ""))),
            ),
        )
