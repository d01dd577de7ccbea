"""What Rust files bring in: modules that they declare, and paths that they use."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar

from wavepool.plan.grouping.imports.base import Extractor, ancestors, joined, sought

_SKIPPED = re.compile(
    r"""//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?|'(?:\\.|[^'\\\n])'|"(?:\\.|[^"\\])*+"?""",
    re.S,
)
_MOD = re.compile(r"\bmod\s++(?:r#)?(\w++)\s*+;")
_MOD_AT = re.compile(r'#\[path\s*+=\s*+"([^"\n]++)"\]\s*+(?:pub\s*+(?:\([^)\n]{0,200}+\))?\s*+)?mod\s++\w++\s*+;')
_USE = re.compile(r"\buse\s++([^;]{1,4000}+);")
_PATH = re.compile(r"\b(?:crate|self|super)(?:\s*+::\s*+(?:r#)?\w++)++")
_WORD = re.compile(r"::|[{},*]|\bas\s+\w+|(?:r#)?\w+")
_PACKAGE = re.compile(r"^[ \t]*+\[(package|lib)\][ \t\r]*+$((?:\n(?![ \t]*+\[).*+)*+)", re.M)
_NAME = re.compile(r'^[ \t]*+name\s*+=\s*+"([^"\n]++)"', re.M)
NESTED_MAX = 64
"""Braces in braces of a ``use``, and names of a path."""


def uses_of(text: str) -> Iterator[tuple[str, ...]]:
    """The paths that a text uses, by their names: of ``use``, its braces opened, and of ``crate::a::b`` elsewhere."""
    plain = _SKIPPED.sub(" ", text)
    for found in _USE.finditer(plain):
        yield from _opened(found[1])
    for found in _PATH.finditer(plain):
        yield tuple(part.strip().removeprefix("r#") for part in found[0].split("::", NESTED_MAX)[:NESTED_MAX])


def _opened(tree: str) -> Iterator[tuple[str, ...]]:
    """``a::{b, c::{d, e}}`` as ``a::b``, ``a::c::d``, ``a::c::e``."""
    before: list[tuple[str, ...]] = []
    here: list[str] = []
    for word in _WORD.findall(tree):
        if word == "{":
            if len(before) >= NESTED_MAX:
                return
            before.append(tuple(here))
        elif word in {",", "}"}:
            if here:
                yield tuple(here)
            if word == "}" and before:
                here = []
                before.pop()
            else:
                here = list(before[-1]) if before else []
        elif word != "::" and word != "*" and not word.startswith("as ") and len(here) < NESTED_MAX:
            here.append(word.removeprefix("r#"))
    if here:
        yield tuple(here)


class Rust(Extractor):
    """A path leads to the file of its longest part that is a module; crates of the workspace are known by name."""

    suffixes: ClassVar = (".rs",)

    def targets(self, path: str, text: str) -> Iterator[str]:
        """See `Extractor`."""
        directory = posixpath.dirname(path)
        for place in sought(_MOD_AT.findall(text)):
            yield from self._found(self.tree.first(joined(directory, place)))
        below = self._children(path)
        for name in sought(_MOD.findall(_SKIPPED.sub(" ", text))):
            yield from self._found(self._module(below, (name,)))
        for names in sought(uses_of(text)):
            yield from self._found(self._used(path, names))

    def _used(self, path: str, names: tuple[str, ...]) -> str | None:
        first, rest = names[0], names[1:]
        if first == "crate":
            source = self._source_of(path)
            return self._within(source, rest) or self._own(source)
        if first == "self":
            return self._within(self._children(path), rest)
        if first == "super":
            at = self._children(path)
            while names and names[0] == "super":
                at, names = posixpath.dirname(at), names[1:]
            return self._within(at, names) or (self._own(at) if names else None)
        if first in self._crates:
            source = self._crates[first]
            return self._within(source, rest) or self._own(source)
        return self._within(self._children(path), names) or self._within(self._source_of(path), names)

    def _within(self, directory: str, names: tuple[str, ...]) -> str | None:
        """The module of the longest beginning of `names` that has a file, below a directory."""
        lengths = range(min(len(names), NESTED_MAX), 0, -1)
        return next((found for length in lengths if (found := self._module(directory, names[:length]))), None)

    def _module(self, directory: str, names: tuple[str, ...]) -> str | None:
        base = posixpath.join(directory, *names)
        return self.tree.first(f"{base}.rs", f"{base}/mod.rs")

    def _own(self, directory: str) -> str | None:
        """The module whose children lie in a directory."""
        names = (posixpath.join(directory, name) for name in ("lib.rs", "main.rs", "mod.rs"))
        return self.tree.first(*names, f"{directory}.rs")

    def _children(self, path: str) -> str:
        """The directory in which the modules of a file lie."""
        directory, name = posixpath.split(path)
        stem = name.removesuffix(".rs")
        return directory if stem in {"mod", "lib", "main"} else posixpath.join(directory, stem)

    def _source_of(self, path: str) -> str:
        """The directory of the crate's root module."""
        crate = next((above for above in ancestors(posixpath.dirname(path)) if self._is_crate(above)), "")
        return posixpath.join(crate, "src")

    def _is_crate(self, directory: str) -> bool:
        return posixpath.join(directory, "Cargo.toml") in self.tree.files

    @cached_property
    def _crates(self) -> dict[str, str]:
        """The source directory of each crate of the workspace, by its name in code."""
        found: dict[str, str] = {}
        for manifest in self.tree.by_name.get("Cargo.toml", ()):
            text = self.tree.read(manifest) or ""
            for section in _PACKAGE.findall(text):
                if (name := _NAME.search(section[1])) is not None:
                    found[name[1].replace("-", "_")] = posixpath.join(posixpath.dirname(manifest), "src")
        return found

    def _found(self, path: str | None) -> Iterator[str]:
        if path is not None:
            yield path
