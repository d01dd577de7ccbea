"""What gcc writes with ``-fdiagnostics-format=json``: an array for each source file, notes within what they are of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from wavepool.model.diagnostics import Diagnostic, Found, Severity
from wavepool.plan.diagnostics.documents import JsonDocument
from wavepool.plan.diagnostics.messages import tidy
from wavepool.plan.diagnostics.places import from_one

_KEYS = ("kind", "column-origin", "locations", "children", "message", "escape-source", "option")
_HEAD = re.compile(rf'\[\s*\{{"(?:{"|".join(_KEYS)})":')
_SEVERITIES = {
    "error": Severity.ERROR,
    "fatal error": Severity.ERROR,
    "internal compiler error": Severity.ERROR,
    "sorry, unimplemented": Severity.ERROR,
    "warning": Severity.WARNING,
}


class GccJsonReader(JsonDocument):
    """Reads the diagnostics that are none of a note."""

    tool: ClassVar[str] = "gcc"
    languages: ClassVar[tuple[str, ...]] = ("c", "c++", "cpp")
    entry_keys: ClassVar[tuple[str, ...]] = _KEYS
    wanted: ClassVar[frozenset[str]] = frozenset(["item"])

    @classmethod
    def recognises(cls, head: str) -> bool:
        return _HEAD.match(head) is not None and '"kind":' in head

    def take(self, place: str, value: Any) -> Sequence[Found]:
        severity = _SEVERITIES.get(str(value.get("kind"))) if isinstance(value, dict) else None
        if severity is None:
            return ()
        caret = _caret(value.get("locations"))
        option = value.get("option")
        return (
            Diagnostic(
                tool=self.tool,
                path=path if isinstance(path := caret.get("file"), str) else None,
                line=from_one(caret.get("line")),
                column=from_one(caret.get("column")),
                code=option.replace("-Werror=", "-W") if isinstance(option, str) else None,
                message=tidy(str(value.get("message", ""))),
                severity=severity,
            ),
        )


def _caret(locations: object) -> dict[str, object]:
    first = locations[0] if isinstance(locations, list) and locations else None
    caret = first.get("caret") if isinstance(first, dict) else None
    return caret if isinstance(caret, dict) else {}
