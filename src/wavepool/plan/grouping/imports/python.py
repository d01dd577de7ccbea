"""What Python files import: read from the syntax tree, and line by line where there is none."""

from __future__ import annotations

import ast
import posixpath
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from wavepool.plan.grouping.imports.base import PATH_MAX, Extractor, ancestors, joined, sought

PARSED_MAX = 300_000
"""Characters of a file that is parsed, which takes a second at most, and holds everything up meanwhile; longer ones are
made by programs, and read line by line."""
SOURCE_DIRECTORIES = ("", "src", "lib", "python")

_FROM = re.compile(
    r"^[ \t]*+from[ \t]++(?P<dots>\.*+)(?:[ \t]*+(?P<module>[\w.]+))?[ \t]*+\bimport\b[ \t]*+"
    r"(?P<names>\([^()]*+\)?|[^\n#;]*+)",
    re.M,
)
_IMPORT = re.compile(r"^[ \t]*+import[ \t]++(?P<names>[\w., \t]++)", re.M)


@dataclass(frozen=True, slots=True)
class Import:
    """One import: ``import module``, or ``from <dots><module> import names``; ``*`` stands for no names."""

    dots: int
    module: str
    names: tuple[str, ...]


def imports_of(text: str) -> list[Import]:
    """What a text imports, wherever in it; that of a text that is no Python as well as it can be told."""
    if len(text) <= PARSED_MAX:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd escapes in the text, which are no matter of ours
                return list(_in_tree(ast.parse(text)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
    return list(_in_lines(text))


def _in_tree(tree: ast.AST) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(0, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield Import(node.level, node.module or "", _named(alias.name for alias in node.names))


def _in_lines(text: str) -> Iterator[Import]:
    for found in _FROM.finditer(text):
        lines = (line.split("#")[0] for line in found["names"].strip("()").splitlines())
        parts = (part for line in lines for part in line.split(","))
        names = (name[0] for part in parts if (name := re.match(r"\w+", part.strip())))
        yield Import(len(found["dots"]), (found["module"] or "").strip("."), _named(names))
    for found in _IMPORT.finditer(text):
        for part in found["names"].split(","):
            if (name := re.match(r"[\w.]+", part.strip())) is not None:
                yield Import(0, name[0].strip("."), ())


def _named(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name != "*")


class Python(Extractor):
    """A module is looked for beside what imports it, at the directories above, in ``src`` and ``lib`` there, and at
    every directory in which a package of this name stands.
    """

    suffixes: ClassVar = (".py", ".pyi", ".pyw")
    interpreters: ClassVar = ("python", "python3")

    def targets(self, path: str, text: str) -> Iterator[str]:
        """See `Extractor`."""
        directory = posixpath.dirname(path)
        for each in sought(imports_of(text)):
            base = self._base(each, directory)
            if base is not None:
                yield from self._modules(base, each.names)

    def _base(self, each: Import, directory: str) -> str | None:
        """The path of the module without its suffix; None where it is not in the workspace."""
        relative = each.module.replace(".", "/")
        if len(relative) + 3 * each.dots > PATH_MAX:
            return None
        if each.dots:
            return joined(directory, *[".."] * (each.dots - 1), relative)
        top, _, rest = relative.partition("/")
        return next((posixpath.join(root, top, rest).rstrip("/") for root in self._roots(top, directory)), None)

    def _roots(self, top: str, directory: str) -> Iterator[str]:
        """The directories in which a module or package of this name stands, the nearest first."""
        for above in ancestors(directory):
            if f"{above}/__init__.py".lstrip("/") in self.tree.files:
                continue  # inside a package, no name is looked for beside the file
            for source in SOURCE_DIRECTORIES:
                root = posixpath.join(above, source).rstrip("/")
                if self._stands(posixpath.join(root, top)):
                    yield root
        yield from self._packages.get(top, ())

    def _stands(self, base: str) -> bool:
        return f"{base}.py" in self.tree.files or f"{base}.pyi" in self.tree.files or base in self._directories

    def _modules(self, base: str, names: tuple[str, ...]) -> Iterator[str]:
        """The module itself, and those of the names that are modules of it; the nearest that there is of a long one."""
        below = [found for name in sought(names) if (found := self._module(f"{base}/{name}".lstrip("/"))) is not None]
        yield from below
        if not names or len(below) < len(names):
            # `import a.b.c` where c is only a name of b's: as far as there are files.
            for each in ancestors(base)[:-1]:
                if (found := self._module(each)) is not None:
                    yield found
                    return

    def _module(self, base: str) -> str | None:
        return self.tree.first(f"{base}.py", f"{base}/__init__.py", f"{base}.pyi", f"{base}/__init__.pyi")

    @cached_property
    def _directories(self) -> frozenset[str]:
        """Directories with Python files, in them or below."""
        holding = {posixpath.dirname(path) for path in self.tree.files if path.endswith(self.suffixes)}
        return frozenset(above for directory in holding for above in ancestors(directory))

    @cached_property
    def _packages(self) -> dict[str, list[str]]:
        """Where the packages of each name stand that are in no other package."""
        found: dict[str, list[str]] = {}
        initials = (path for path in self.tree.files if posixpath.basename(path) == "__init__.py")
        for path in sorted(initials):
            root, name = posixpath.split(posixpath.dirname(path))
            if name and posixpath.join(root, "__init__.py") not in self.tree.files:
                found.setdefault(name, []).append(root)
        return found
