"""What cargo and rustc say that they have told, against what was counted. Pure.

    error: aborting due to 4 previous errors; 1 warning emitted                    rustc, exactly
    error: could not compile `x` (lib test) due to 8 previous errors; 1 warning emitted
    warning: `x` (lib test) generated 4 warnings (3 duplicates)                    exactly: the duplicates were left out

Cargo leaves out an error too that it has told of another target, but does not say how many it left out. A target and
the same one built for tests share most of their source, so what was told of both is between the larger of their sums
and both together; a count within is cargo's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wavepool.model.diagnostics import Found, Severity, Total
from wavepool.plan.diagnostics.places import number

_ABORTING = re.compile(r"aborting due to (?:(\d+) )?previous errors?(?:; (\d+) warnings? emitted)?")
_NOT_COMPILED = re.compile(
    r"could not (?:compile|document|check) (`[^`]*`(?: \(.*?\))?),? due to (?:(\d+) )?previous errors?"
    r"(?:; (\d+) warnings? emitted)?"
)
_GENERATED = re.compile(r"`[^`]*`(?: \(.*?\))? generated (\d+) warnings?(?: \((\d+) duplicates?\))?")
_EMITTED = re.compile(r"(\d+) warnings? emitted")
_TARGETS_MAX = 4096


class RustTotals:
    """Sums up what the summaries say."""

    def __init__(self) -> None:
        self._placed = {Severity.ERROR: 0, Severity.WARNING: 0}
        self._loose = {Severity.ERROR: 0, Severity.WARNING: 0}  # of which only some are in the sums
        self._told = {Severity.ERROR: 0, Severity.WARNING: 0}
        self._least = 0
        self._most = 0
        self._of_targets: dict[str, int] = {}
        self._warnings = 0
        self._any_errors = False
        self._any_warnings = False

    def count(self, severity: Severity, *, placed: bool) -> None:
        """One diagnostic more."""
        (self._placed if placed else self._loose)[severity] += 1

    def read(self, word: str, message: str) -> bool:
        """Whether the message is a summary.

        Args: `word`: ``error`` or ``warning``, as it begins.
        """
        if word == "error":
            if match := _ABORTING.match(message):
                self._add(None, number(match[1]) or 1, number(match[2]) or 0)
                return True
            if match := _NOT_COMPILED.match(message):
                self._add(match[1].replace(" test)", ")"), number(match[2]) or 1, None)
                return True
            return False
        if match := _GENERATED.match(message):
            self._warn(max((number(match[1]) or 0) - (number(match[2]) or 0), 0))
            return True
        if match := _EMITTED.match(message):
            self._warn(number(match[1]) or 0)
            return True
        return False

    def end(self, tool: str) -> Sequence[Found]:
        """The totals, as far as they were not told; more may follow."""
        errors = self._news(Severity.ERROR, self._least, self._most) if self._any_errors else None
        warnings = self._news(Severity.WARNING, self._warnings, self._warnings) if self._any_warnings else None
        if not errors and not warnings:
            return ()
        return (Total(tool=tool, errors=errors, warnings=warnings),)

    def _add(self, target: str | None, errors: int, warnings: int | None) -> None:
        self._any_errors = True
        twin = 0 if target is None else self._of_targets.get(target, 0)
        if target is not None and (twin or len(self._of_targets) < _TARGETS_MAX):
            self._of_targets[target] = max(twin, errors)
        self._least += max(errors - twin, 0)
        self._most += errors
        if warnings is not None:
            self._warn(warnings)

    def _warn(self, warnings: int) -> None:
        self._any_warnings = True
        self._warnings += warnings

    def _news(self, severity: Severity, least: int, most: int) -> int:
        placed, loose = self._placed[severity], self._loose[severity]
        whole = min(max(placed + loose, least), most + loose) if placed + loose else most
        news = whole - self._told[severity]
        self._told[severity] = whole
        return news
