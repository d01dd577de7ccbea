"""Where imports lead that are not relative: ``paths`` and ``baseUrl`` of a tsconfig, names of packages."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from wavepool.plan.grouping.imports.base import joined
from wavepool.plan.grouping.imports.tree import Tree

EXTENDS_MAX = 8
PATTERNS_MAX = 200
"""Of ``paths``; each import is compared with all of them."""
_NOT_JSON = re.compile(r'("(?:\\.|[^"\\])*+"?)|//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?', re.S)
_LAST_COMMA = re.compile(r'("(?:\\.|[^"\\])*+"?)|,(?=\s*+[}\]])', re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aliases:
    """What one tsconfig says of imports that are not relative.

    Attributes:
        base: the directory of ``baseUrl``; None where there is none.
        paths: pattern, with at most one ``*``, and the places that it stands for, relative to the workspace.
    """

    base: str | None
    paths: tuple[tuple[str, tuple[str, ...]], ...]

    def candidates(self, specifier: str) -> Iterator[str | None]:
        """Paths, perhaps without their endings, that an import may mean; the longest pattern that fits first."""
        fitting = [entry for entry in self.paths if _filled(entry[0], specifier) is not None]
        for pattern, places in sorted(fitting, key=lambda entry: (-len(entry[0].split("*")[0]), entry[0])):
            part = _filled(pattern, specifier) or ""
            yield from (joined(place.replace("*", part, 1)) for place in places)
        if self.base is not None:
            yield joined(self.base, specifier)


def _filled(pattern: str, specifier: str) -> str | None:
    """What the ``*`` of a pattern stands for in an import; None where it does not fit."""
    before, star, after = pattern.partition("*")
    if not star:
        return "" if specifier == pattern else None
    long_enough = len(specifier) >= len(before) + len(after)
    fits = long_enough and specifier.startswith(before) and specifier.endswith(after)
    return specifier[len(before) : len(specifier) - len(after)] if fits else None


def read_aliases(path: str, tree: Tree) -> Aliases | None:
    """What a tsconfig says, with those that it extends in the workspace; None where it says nothing of imports."""
    base: str | None = None
    paths: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    for each, options in _chain(path, tree):
        directory = posixpath.dirname(each)
        given = options.get("baseUrl")
        if base is None and isinstance(given, str):
            base = joined(directory, given)
        if paths is None and isinstance(options.get("paths"), dict):
            paths = _read_paths(options["paths"], joined(directory, given) if isinstance(given, str) else directory)
    return None if base is None and not paths else Aliases(base=base, paths=paths or ())


def _chain(path: str, tree: Tree) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The compiler options of a tsconfig and of those that it extends, the nearest first."""
    waiting = [path]
    for _ in range(EXTENDS_MAX):
        if not waiting:
            return
        here = waiting.pop(0)
        document = read_loose_json(tree.read(here))
        options = document.get("compilerOptions")
        yield here, options if isinstance(options, dict) else {}
        given = document.get("extends")
        for each in given if isinstance(given, list) else [given]:
            if isinstance(each, str) and each.startswith("."):
                target = joined(posixpath.dirname(here), each)
                found = tree.first(target, f"{target}.json")
                waiting += [] if found is None else [found]


def _read_paths(given: object, directory: str | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(given, dict) or directory is None:
        return ()
    return tuple(
        (pattern, tuple(posixpath.join(directory, place) for place in places if isinstance(place, str)))
        for pattern, places in islice(given.items(), PATTERNS_MAX)
        if isinstance(places, list)
    )


def package_names(tree: Tree) -> dict[str, str]:
    """The directory of each package of the workspace, by its name in ``package.json``."""
    found: dict[str, str] = {}
    for path in sorted(path for path in tree.files if posixpath.basename(path) == "package.json"):
        name = read_loose_json(tree.read(path)).get("name")
        if isinstance(name, str):
            found.setdefault(name, posixpath.dirname(path))
    return found


def read_loose_json(text: str | None) -> Mapping[str, object]:
    """An object of JSON with comments and commas after the last value; empty where it is none."""
    if text is None:
        return {}
    plain = _LAST_COMMA.sub(r"\1", _NOT_JSON.sub(r"\1", text.removeprefix("\ufeff")))
    try:
        document = json.loads(plain)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
