"""SARIF 2.1.0, which many checkers write for machines (decision 31). Pure.

Each result is validated by sarif-pydantic and told as soon as it is complete, unless its run names its tool and rules
only afterwards; then at most `HELD_MAX` of them are held until it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final

from msgspec.structs import replace
from pydantic import ValidationError

from wavepool.model.diagnostics import Diagnostic, Found, Severity
from wavepool.plan.diagnostics.base import BadDocument, DocumentReader
from wavepool.plan.diagnostics.gcc import GccReader
from wavepool.plan.diagnostics.messages import tidy
from wavepool.plan.diagnostics.sarif_result import Draft, SarifResult, draft_of
from wavepool.plan.diagnostics.sarif_run import SarifRun
from wavepool.plan.diagnostics.sarif_walk import Part, SarifWalk

HELD_MAX: Final = 10_000
"""So many results wait for the name of their tool; if they are more, the run's tool is called ``sarif``."""

_KEYS = ("$schema", "version", "runs", "properties", "inlineExternalProperties")
_HEAD = re.compile(rf'\{{\s*"(?:{"|".join(map(re.escape, _KEYS))})"\s*:')
_SIGN = re.compile(r'sarif|"2\.1\.0"|"runs"\s*:\s*\[\s*\{\s*"(?:results|tool|artifacts|columnKind)"', re.IGNORECASE)
_SEVERITIES = {"error": Severity.ERROR, "warning": Severity.WARNING, "note": Severity.WARNING}


class SarifReader(DocumentReader):
    """Reads all runs of a log, each with the name of its own tool.

    A fault is a result of kind ``fail`` that is not suppressed, and that a baseline does not call gone; one of level
    ``error`` is an error, of ``warning`` and ``note`` a warning. A result that is not as the standard has it is told
    as an error without a file, so that it is not lost.
    """

    tool: ClassVar[str] = "sarif"
    languages: ClassVar[tuple[str, ...]] = ()
    object_keys: ClassVar[tuple[str, ...]] = _KEYS

    def __init__(self) -> None:
        self._walk = SarifWalk()
        self._run = SarifRun()
        self._held: list[Draft] | None = []
        """None: they wait no longer."""

    @classmethod
    def recognises(cls, head: str) -> bool:
        return _HEAD.match(head) is not None and _SIGN.search(head) is not None

    def feed(self, text: str) -> Sequence[Found]:
        return self._read(lambda: self._walk.feed(text))

    def end(self) -> Sequence[Found]:
        return self._read(self._walk.end)

    def _read(self, walk: Callable[[], Iterable[tuple[Part, object]]]) -> Sequence[Found]:
        found: list[Found] = []
        try:
            self._take(walk(), found)
        except BadDocument as problem:
            self._take(self._walk.take(), found)
            self._release(found)
            raise BadDocument(str(problem), found) from None
        return found

    def _take(self, parts: Iterable[tuple[Part, object]], found: list[Found]) -> None:
        for part, value in parts:
            if part is Part.RESULT:
                self._result(value, found)
            elif part is Part.RUN:
                self._run, self._held = SarifRun(), []
            elif part in (Part.TOOL_END, Part.RUN_END):
                self._release(found)
            elif part is Part.VERSION:
                if value != "2.1.0":
                    raise BadDocument(f"it is SARIF {str(value)[:20]}; 2.1.0 is read.")
            else:
                self._run.learn(part, value)

    def _result(self, value: object, found: list[Found]) -> None:
        draft = self._draft(value)
        if draft is None:
            return
        if self._held is None:
            found.extend(self._run_tells(draft))
            return
        self._held.append(draft)
        if len(self._held) > HELD_MAX:
            self._run.name = self._run.name or self.tool
            self._release(found)

    def _release(self, found: list[Found]) -> None:
        for draft in self._held or ():
            found.extend(self._run_tells(draft))
        self._held = None

    def _draft(self, value: object) -> Draft | None:
        try:
            result = SarifResult.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            said = f"a result is not as SARIF 2.1.0 has it: {place}: {first['msg']}"
            return Draft(diagnostic=Diagnostic(tool=self.tool, message=said), level="error")
        return draft_of(result, self._run, self.tool) if result.is_fault else None

    def _run_tells(self, draft: Draft) -> Sequence[Found]:
        rule = self._run.rule(draft.rule_index, draft.diagnostic.code)
        severity = _SEVERITIES.get(draft.level or (rule.level if rule else None) or "warning")
        name = self._run.name or self.tool
        if name == "clang":
            if draft.level == "note":
                return ()  # it belongs to the result before
            name = GccReader.tool  # which reads the total that clang writes beside the document
        if severity is None:
            return ()
        message = draft.diagnostic.message or (rule.message(draft.message_id, draft.arguments) if rule else None)
        return (
            replace(
                draft.diagnostic,
                tool=name,
                severity=severity,
                code=draft.diagnostic.code or (rule.id if rule else None),
                message=tidy(message or draft.message_id or draft.diagnostic.code or "it says nothing"),
            ),
        )
