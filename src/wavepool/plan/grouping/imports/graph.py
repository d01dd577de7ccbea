"""What the files with errors import."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from wavepool.plan.grouping.group import Sources
from wavepool.plan.grouping.imports.base import TARGETS_MAX, Extractor
from wavepool.plan.grouping.imports.cfamily import CFamily
from wavepool.plan.grouping.imports.golang import Go
from wavepool.plan.grouping.imports.javascript import JavaScript
from wavepool.plan.grouping.imports.python import Python
from wavepool.plan.grouping.imports.rust import Rust
from wavepool.plan.grouping.imports.shell import Shell
from wavepool.plan.grouping.imports.tree import Tree

EXTRACTORS: tuple[type[Extractor], ...] = (Python, JavaScript, Rust, Go, CFamily, Shell)
_FIRST_LINE = re.compile(r"#![ \t]*+[^\n]*?(?:/|\benv[ \t]++(?:-S[ \t]++)?)(?!env\b)([a-z]++[\d.]*+)(?=\s|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportGraph:
    """What imports what, as far as it begins at files with errors.

    Attributes:
        imports: file with errors -> the other files of the workspace that it imports itself.
    """

    imports: Mapping[str, frozenset[str]] = field(default_factory=dict)


def read_imports(paths: Iterable[str], sources: Sources) -> ImportGraph:
    """Read these files, and find what they import. One that cannot be read, or of no known language, imports nothing.

    Args:
        paths: files with errors.
        sources: the workspace.
    """
    tree = Tree(sources)
    readers = [kind(tree) for kind in EXTRACTORS]
    by_suffix = {suffix: reader for reader in readers for suffix in reader.suffixes}
    by_interpreter = {name: reader for reader in readers for name in reader.interpreters}
    imports: dict[str, frozenset[str]] = {}
    for path in paths:
        text = tree.read(path)
        reader = None if text is None else _reader_of(path, text, by_suffix, by_interpreter)
        if text is not None and reader is not None:
            targets = frozenset(islice(reader.targets(path, text), TARGETS_MAX)) - {path}
            if targets:
                imports[path] = targets
    return ImportGraph(imports=imports)


def _reader_of(
    path: str, text: str, by_suffix: Mapping[str, Extractor], by_interpreter: Mapping[str, Extractor]
) -> Extractor | None:
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    if dot and stem:
        return by_suffix.get(f".{suffix.lower()}")
    first = _FIRST_LINE.match(text)
    return None if first is None else by_interpreter.get(first[1].rstrip("0123456789."))
