"""What finds the files that one file imports. One module for each family of languages."""

from __future__ import annotations

import posixpath
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from wavepool.plan.grouping.imports.tree import Tree

TARGETS_MAX = 2000
"""How many files one file imports at most; further ones are left out."""


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


def joined(*parts: str) -> str | None:
    """A path below the workspace, normal; None where it leads out of it. Empty for the workspace itself."""
    path = posixpath.normpath(posixpath.join(*parts))
    if path == "." or path == "":
        return ""
    return None if path.startswith(("/", "../")) or path == ".." else path


def ancestors(directory: str) -> list[str]:
    """A directory and those above it, from the nearest to the workspace itself, which is empty."""
    found = [directory]
    while found[-1]:
        found.append(posixpath.dirname(found[-1]))
    return found
