"""What a check found, gathered by file, in memory that does not grow with the number of diagnostics."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from msgspec.structs import replace

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.directories import paths_in
from wavepool.plan.making.toolcounts import Disagreement, ToolCounts

KEPT_PER_FILE = 200
"""How many diagnostics of one file are kept; the rest are counted. As many as the prompt of a batch holds."""
KEPT_MAX = 100_000
"""How many are kept altogether: where there would be more, each file keeps half as many, and so on down to one."""
FILES_MAX = KEPT_MAX
"""How many files are told apart; errors in further ones are counted as `Findings.beyond`."""
KNOWN_MAX = 200_000
"""How many dropped diagnostics are known again. One that is told twice after that counts twice."""
CODES_PER_FILE = 100
MESSAGE_MAX = 1000
"""Characters of a message that are kept."""


class Place(StrEnum):
    """Where a path leads, seen from the workspace."""

    INSIDE = "inside"
    VENDORED = "vendored"
    OUTSIDE = "outside"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where the path of a diagnostic leads.

    Attributes:
        place: `INSIDE`: a file that a batch may mend. `VENDORED`: inside, but the work of others, or made by a build.
            `OUTSIDE`: beyond the workspace. `NOWHERE`: no file at all.
        path: relative to the workspace, with ``/``, for `INSIDE` and `VENDORED`; else as it was written.
    """

    place: Place
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFindings:
    """What is to be mended in one file, or in one place.

    Attributes:
        path: relative to the workspace, with ``/``; empty for what has no file.
        errors: how many distinct diagnostics are to be mended: of severity error, and of warnings where these are
            planned too.
        codes: how many of them by code, the most frequent first; those without a code are left out.
        diagnostics: the first of them, by line and column, each with this path.
    """

    path: str
    errors: int
    codes: Mapping[str, int]
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetApart:
    """What was found where no batch may mend it.

    Attributes:
        place: `VENDORED` or `OUTSIDE`.
        errors: distinct ones.
        examples: the first few by path.
    """

    place: Place
    errors: int
    examples: tuple[Diagnostic, ...]


_Order = tuple[str, int, int, str, str, str, str]
_EXAMPLES = 5


@dataclass(slots=True)
class _Gathered:
    """The diagnostics of one file: all counted, the first by order kept."""

    path: str
    errors: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    kept: list[tuple[_Order, Diagnostic]] = field(default_factory=list)

    def add(self, order: _Order, diagnostic: Diagnostic, at_most: int) -> bool:
        """Count it, and keep it where it is among the first `at_most`. Whether one more is kept than before."""
        self.errors += 1
        code = diagnostic.code
        if code is not None and (code in self.codes or len(self.codes) < CODES_PER_FILE):
            self.codes[code] += 1
        full = len(self.kept) >= at_most
        if full and order > self.kept[-1][0]:
            return False
        insort(self.kept, (order, diagnostic), key=lambda pair: pair[0])
        if full:
            self.kept.pop()
        return not full

    def told(self) -> FileFindings:
        ordered = dict(sorted(self.codes.items(), key=lambda item: (-item[1], item[0])))
        diagnostics = tuple(diagnostic for _, diagnostic in self.kept)
        return FileFindings(path=self.path, errors=self.errors, codes=ordered, diagnostics=diagnostics)


class Findings:
    """Gathers what readers find. The order in which it comes makes no difference below the bounds above.

    Args:
        place: where a path leads that a tool wrote. Asked once for each spelling, as long as `FILES_MAX` are known.
        warnings: whether warnings are to be mended as errors are. Otherwise they are only counted.

    Attributes:
        errors: distinct diagnostics of severity error, wherever they are.
        warnings: the same for warnings.
        beyond: distinct errors in files beyond the first `FILES_MAX`: no batch gets them.
        unsure: the first path that is in several of the directories where its tool may have been started; its file is
            unknown then. None where there was none.
    """

    def __init__(self, place: Callable[[str], Placed], *, warnings: bool = False) -> None:
        self._place = place
        self._with_warnings = warnings
        self._placed: dict[tuple[str, tuple[str, ...]], Placed] = {}
        self._files: dict[str, _Gathered] = {}
        self._apart = {where: _Gathered("") for where in (Place.VENDORED, Place.OUTSIDE)}
        self._unplaced = _Gathered("")
        self._tools = ToolCounts()
        self._known: set[int] = set()
        self._kept = 0
        self._per_file = KEPT_PER_FILE
        self.errors = 0
        self.warnings = 0
        self.beyond = 0
        self.unsure: str | None = None

    def add(self, found: Found) -> None:
        """Take in one diagnostic, or what a tool says that it has told altogether."""
        if isinstance(found, Total):
            self._tools.said(found)
        else:
            self._add_diagnostic(found)

    @property
    def files(self) -> tuple[FileFindings, ...]:
        """The files in which something is to be mended, by path."""
        return tuple(self._files[path].told() for path in sorted(self._files))

    @property
    def unplaced(self) -> FileFindings:
        """What is to be mended and has no file. Its path is empty."""
        return self._unplaced.told()

    @property
    def set_apart(self) -> tuple[SetApart, ...]:
        """What is in no file that a batch may mend: vendored first, then outside; only where there is any."""
        return tuple(
            SetApart(place=place, errors=apart.errors, examples=apart.told().diagnostics)
            for place, apart in self._apart.items()
            if apart.errors
        )

    def disagreements(self) -> tuple[Disagreement, ...]:
        """Where a tool's own total is not what was read of it, by tool."""
        return self._tools.disagreements()

    def _add_diagnostic(self, diagnostic: Diagnostic) -> None:
        is_error = diagnostic.severity is Severity.ERROR
        self._tools.read(diagnostic)
        placed = self._placed_of(diagnostic.path, diagnostic.directories)
        line, column, code = diagnostic.line or 0, diagnostic.column or 0, diagnostic.code or ""
        message = diagnostic.message[:MESSAGE_MAX]
        order = (placed.path, line, column, code, message, diagnostic.tool, diagnostic.severity.value)
        if self._was_told(order):
            return
        if is_error:
            self.errors += 1
        else:
            self.warnings += 1
        if is_error or self._with_warnings:
            self._gather(placed, order, diagnostic, message)

    def _was_told(self, order: _Order) -> bool:
        known = hash(order)
        if known in self._known:
            return True
        if len(self._known) < KNOWN_MAX:
            self._known.add(known)
        return False

    def _placed_of(self, path: str | None, directories: tuple[str, ...]) -> Placed:
        if path is None:
            return _NOWHERE
        placed = self._placed.get((path, directories))
        if placed is None:
            placed = self._place_in(path, directories)
            if len(self._placed) < FILES_MAX:
                self._placed[path, directories] = placed
        return placed

    def _place_in(self, path: str, directories: tuple[str, ...]) -> Placed:
        """The one file that it is in one of the directories; what it is without them where it is in none."""
        where = {self._place(each) for each in paths_in(directories, path)}
        for place in (Place.INSIDE, Place.VENDORED):
            files = [each for each in where if each.place is place]
            if len(files) > 1:
                self.unsure = self.unsure or path
                return Placed(place=Place.NOWHERE, path=path)
            if files:
                return files[0]
        return self._place(path)

    def _gather(self, placed: Placed, order: _Order, diagnostic: Diagnostic, message: str) -> None:
        if placed.place is Place.INSIDE:
            gathered = self._files.get(placed.path)
            if gathered is None and len(self._files) >= FILES_MAX:
                self.beyond += 1
                return
            if gathered is None:
                gathered = self._files[placed.path] = _Gathered(placed.path)
            path: str | None = gathered.path
            if gathered.add(order, replace(diagnostic, path=path, message=message), self._per_file):
                self._kept += 1
                self._keep_within()
        elif placed.place is Place.NOWHERE:
            self._unplaced.add(order, replace(diagnostic, path=placed.path or None, message=message), KEPT_PER_FILE)
        else:
            self._apart[placed.place].add(order, replace(diagnostic, path=placed.path, message=message), _EXAMPLES)

    def _keep_within(self) -> None:
        while self._kept > KEPT_MAX:
            self._per_file //= 2
            for gathered in self._files.values():
                del gathered.kept[self._per_file :]
            self._kept = sum(len(gathered.kept) for gathered in self._files.values())


_NOWHERE = Placed(place=Place.NOWHERE)
