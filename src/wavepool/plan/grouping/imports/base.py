"""What finds the files that one file imports. One module for each family of languages."""

from __future__ import annotations

import posixpath
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator
from itertools import islice
from typing import ClassVar, TypeVar

from wavepool.plan.grouping.imports.tree import Tree

TARGETS_MAX = 2000
"""How many files one file imports at most; further ones are left out."""
SOUGHT_MAX = 2000
"""How many different imports of one file are looked for, as each may be sought in many places."""
ABOVE_MAX = 32
"""How many directories above a file are looked into, and the workspace itself."""
PATH_MAX = 4096
"""Characters; no system opens a path that is longer."""

T = TypeVar("T", bound=Hashable)


class Extractor(ABC):
    """Finds what files of one family import, as far as it lies in the workspace.

    Args:
        tree: the workspace.

    Attributes:
        suffixes: of the files that it reads.
        interpreters: what the first line of a file without a suffix names, such as ``bash``.
    """

    suffixes: ClassVar[tuple[str, ...]]
    interpreters: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    @abstractmethod
    def targets(self, path: str, text: str) -> Iterable[str]:
        """Files of the workspace that this one imports itself; any of them several times, and perhaps itself.

        Never raises for what stands in the text.
        """


def sought(imports: Iterable[T]) -> Iterator[T]:
    """Each of these once, up to `SOUGHT_MAX`: agents write texts that import one thing 100,000 times."""
    return islice(_once(imports), SOUGHT_MAX)


def _once(imports: Iterable[T]) -> Iterator[T]:
    seen: set[T] = set()
    for each in imports:
        if each not in seen:
            seen.add(each)
            yield each


def joined(*parts: str) -> str | None:
    """A path below the workspace, normal; None where it leads out of it, or is none for its length. Empty for the
    workspace itself.
    """
    if sum(map(len, parts)) > PATH_MAX:
        return None
    path = posixpath.normpath(posixpath.join(*parts))
    if path == "." or path == "":
        return ""
    return None if path.startswith(("/", "../")) or path == ".." else path


def ancestors(directory: str) -> list[str]:
    """A directory and `ABOVE_MAX` of those above it, from the nearest on, and the workspace itself, which is empty."""
    found = [directory]
    while found[-1] and len(found) <= ABOVE_MAX:
        found.append(posixpath.dirname(found[-1]))
    return found if not found[-1] else [*found, ""]
