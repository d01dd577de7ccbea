"""What Go files import: packages, which are all files of a directory; those of one package need no import."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar

from wavepool.plan.grouping.imports.base import Extractor, joined, sought

PACKAGE_MAX = 100
"""How many files of a package are its importers' matter; more of them say nothing."""

_COMMENT = re.compile(r"//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?", re.S)
_IMPORT = re.compile(r'^[ \t]*+import\s++(?:\(([^)]*+)|((?:[\w.]++\s++)?(?:"[^"\n]*+"|`[^`\n]*+`)))', re.M)
_PATH = re.compile(r'"([^"\n]++)"|`([^`\n]++)`')
_MODULE = re.compile(r'^[ \t]*+module\s++"?([^\s"]++)', re.M)


def packages_of(text: str) -> Iterator[str]:
    """The import paths of a text."""
    for block, one in _IMPORT.findall(_COMMENT.sub(" ", text)):
        yield from (quoted or raw for quoted, raw in _PATH.findall(block or one))


class Go(Extractor):
    """Import paths below the path of a module of the workspace lead to its directories."""

    suffixes: ClassVar = (".go",)

    def targets(self, path: str, text: str) -> Iterator[str]:
        """See `Extractor`."""
        directory = posixpath.dirname(path)
        yield from self._package(directory)
        targets = (self._directory(imported, directory) for imported in sought(packages_of(text)))
        for target in sought(targets):  # which many a spelling may lead to
            if target is not None:
                yield from self._package(target)

    def _directory(self, imported: str, directory: str) -> str | None:
        if imported.startswith("."):
            return joined(directory, imported)
        for module, root in self._modules:
            if imported == module or imported.startswith(f"{module}/"):
                return joined(root, imported[len(module) :].lstrip("/"))
        return None

    def _package(self, directory: str) -> list[str]:
        """The files of a package, without its tests."""
        files = self.tree.by_directory.get(directory, ())
        return [path for path in files if path.endswith(".go") and not path.endswith("_test.go")][:PACKAGE_MAX]

    @cached_property
    def _modules(self) -> list[tuple[str, str]]:
        """The path of each module and its directory, the longest path first."""
        found: list[tuple[str, str]] = []
        for manifest in self.tree.by_name.get("go.mod", ()):
            name = _MODULE.search(self.tree.read(manifest) or "")
            if name is not None:
                found.append((name[1], posixpath.dirname(manifest)))
        return sorted(found, key=lambda pair: (-len(pair[0]), pair))
