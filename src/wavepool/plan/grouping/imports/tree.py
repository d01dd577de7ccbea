"""The files of the workspace by path, by directory and by name, and the texts of those that configure a language."""

from __future__ import annotations

import posixpath
from functools import cached_property

from wavepool.plan.grouping.group import Sources

ALIKE_MAX = 64
"""How many files of one name are looked at; a name that more have says nothing."""


class Tree:
    """Looks files of the workspace up.

    Args:
        sources: the files, and how they are read.
    """

    def __init__(self, sources: Sources) -> None:
        self.files = frozenset(sources.files)
        self._read = sources.read

    def read(self, path: str) -> str | None:
        """The text of a file; None where it is none of the workspace or cannot be read."""
        return self._read(path) if path in self.files else None

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        """The files of each base name, by path; the first `ALIKE_MAX` of them."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.files):
            alike = found.setdefault(posixpath.basename(path), [])
            if len(alike) < ALIKE_MAX:
                alike.append(path)
        return found

    @cached_property
    def by_directory(self) -> dict[str, list[str]]:
        """The files that lie in each directory itself, by path."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.files):
            found.setdefault(posixpath.dirname(path), []).append(path)
        return found

    def first(self, *candidates: str | None) -> str | None:
        """The first of these that there is."""
        return next((path for path in candidates if path is not None and path in self.files), None)

    def ending(self, tail: str) -> str | None:
        """The only file whose path ends with these whole names; None where there are several, or none."""
        alike = self.by_name.get(posixpath.basename(tail), ())
        found = [path for path in alike if path == tail or path.endswith(f"/{tail}")]
        return found[0] if len(found) == 1 and len(alike) < ALIKE_MAX else None
