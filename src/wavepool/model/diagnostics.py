"""What a check has found fault with, and what it says it has found altogether."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """`ERROR`: the tool fails for it, whatever its own word for it is. `WARNING`: it would pass with this alone."""

    ERROR = "error"
    WARNING = "warning"


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that one tool has told.

    A million of them come of one check: a `msgspec.Struct` is made in a tenth of a frozen dataclass's time.

    Attributes:
        tool: the tool's name, such as ``tsc``.
        path: the file as the tool wrote it; None where it named none.
        line, column: from 1; None where the tool named none.
        code: the tool's own name for this kind of fault, such as ``TS2322``; None where it has none.
        message: for a person, without colours; of several lines where the tool said more.
        severity: whether the tool fails for it.
        directories: where a relative path begins, as make or ninja said; of several it is one. Relative ones, as ``.``,
            begin where the check runs; none: it begins there itself, as far as anybody knows.
    """

    tool: str
    message: str
    path: str | None = None
    line: int | None = None
    column: int | None = None
    code: str | None = None
    severity: Severity = Severity.ERROR
    directories: tuple[str, ...] = ()


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool says that it has told: of its summary, or of the figures in its document.

    Attributes:
        tool: as in its diagnostics.
        errors, warnings: as `Severity` has them; None where the tool does not say.
        files: in how many files; None where it does not say.
    """

    tool: str
    errors: int | None = None
    warnings: int | None = None
    files: int | None = None


Found = Diagnostic | Total
