"""Files with errors that one batch will get, and what lies around them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.making.findings import FileFindings

MAX_FILES = 20
MAX_ERRORS = 200
"""As many as the prompt of a batch can show: an agent sees all that it is to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How large a group may be. A single file with more errors than that is a group of its own.

    Attributes:
        max_files: at least 1.
        max_errors: at least 1.
    """

    max_files: int = MAX_FILES
    max_errors: int = MAX_ERRORS

    def allow(self, files: int, errors: int) -> bool:
        """Whether so many files with so many errors may be one group."""
        return files <= 1 or (files <= self.max_files and errors <= self.max_errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The files of the workspace, for those who ask what imports what.

    Attributes:
        files: all of them, without what is vendored; relative to the workspace, with ``/``.
        read: the text of one of them; None where it cannot be read, or is too large to be worth it.
    """

    files: Collection[str]
    read: Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A file that a group imports, and another group owns.

    Attributes:
        path: relative to the workspace.
        owner: the place of its owner in the tuple of groups, from 0.
    """

    path: str
    owner: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What one batch will get.

    Attributes:
        files: the files with errors, by path; no other group has any of them.
        findings: what is to be mended in each, in the same order.
        owns: files without errors that these import, and this group alone may edit where its errors ask for it.
        foreign: what these import and others own, by path.
        crossing: how many imports of these files lead to files with errors of other groups.
    """

    files: tuple[str, ...]
    findings: tuple[FileFindings, ...]
    owns: tuple[str, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    crossing: int = 0

    @property
    def errors(self) -> int:
        """How many diagnostics are to be mended."""
        return sum(each.errors for each in self.findings)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Those that were kept, by file, line and column; at most as many as `errors`."""
        return tuple(diagnostic for each in self.findings for diagnostic in each.diagnostics)
