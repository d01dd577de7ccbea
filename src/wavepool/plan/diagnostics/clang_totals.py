"""Clang's totals, one for each source file, against what was counted. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wavepool.model.diagnostics import Found, Severity, Total


class ClangTotals:
    """Adds clang's totals up.

    gcc and the assembler write none. Where one of them wrote as well, what no total covers is added, as nobody denies
    it; what a total has and nobody told stays a difference.
    """

    def __init__(self) -> None:
        self.mixed = False
        """Whether a compiler wrote that has no total."""
        self._seen = {Severity.ERROR: 0, Severity.WARNING: 0}
        self._summed = {Severity.ERROR: 0, Severity.WARNING: 0}
        self._told = {Severity.ERROR: 0, Severity.WARNING: 0}
        self._any = False
        self._stops = 0

    def count(self, severity: Severity, path: str) -> None:
        """One diagnostic more, at this path."""
        self._seen[severity] += 1
        if path.endswith(".s"):
            self.mixed = True

    def stopped(self) -> None:
        """Clang counts its own word that there are too many as one more error."""
        self._stops += 1

    def summed(self, errors: int, warnings: int) -> None:
        """A total was read; what it is of may be told before, after, in SARIF, or on the other stream."""
        self._any = True
        self.correct(errors - self._stops, warnings)
        self._stops = 0

    def correct(self, errors: int, warnings: int) -> None:
        """Adds to the totals, as clang-tidy does: it counts first, and says then what it did not show."""
        self._summed[Severity.ERROR] += errors
        self._summed[Severity.WARNING] += warnings

    def end(self, tool: str) -> Sequence[Found]:
        """The total, as far as it was not told; more may follow."""
        if not self._any:
            return ()
        news = {}
        for severity, summed in self._summed.items():
            whole = max(summed, self._seen[severity]) if self.mixed else summed
            news[severity] = whole - self._told[severity]
            self._told[severity] = whole
        if not any(news.values()):
            return ()
        return (Total(tool=tool, errors=news[Severity.ERROR], warnings=news[Severity.WARNING]),)
