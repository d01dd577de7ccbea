"""What JavaScript and TypeScript files import, and where ``paths`` of a tsconfig and packages of the workspace lead."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import ClassVar

from wavepool.plan.grouping.imports.base import Extractor, ancestors, joined, sought
from wavepool.plan.grouping.imports.tsconfig import Aliases, package_names, read_aliases

ENDINGS = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json", ".vue", ".svelte", ".css")
_WRITTEN_AS = {
    ".js": (".ts", ".tsx", ".d.ts"),
    ".jsx": (".tsx",),
    ".mjs": (".mts", ".d.mts"),
    ".cjs": (".cts", ".d.cts"),
}
"""What is compiled is imported by the name that it will have."""

_TOKEN = re.compile(
    r"""(?P<comment>(?<!/)//(?!/)[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?)"""
    r"""|"(?P<double>(?:\\.|[^"\\\n])*+)"?|'(?P<single>(?:\\.|[^'\\\n])*+)'?|`(?P<back>(?:\\.|[^`\\])*+)`?""",
    re.S,
)
"""Comments and texts; each is taken as far as it goes where it has no end, so that any input is read in one pass."""
_BEFORE = re.compile(r"(?:\bfrom|\bimport|\b(?:require|import|mock|resolve)\s*\(|///\s*<reference\s+path\s*=)\s*\Z")
_LOOK_BACK = 60
MEANINGS_MAX = 32
"""How many places are looked at that one import may mean."""
CONFIGS_MAX = 8
"""How many tsconfigs of one directory are read."""


def specifiers_of(text: str) -> Iterator[str]:
    """What a text imports, as written: of ``import``, ``export from``, ``require`` and references."""
    for token in _TOKEN.finditer(text):
        written = token["double"] or token["single"] or token["back"]
        if written and "${" not in written:
            before = text[max(0, token.start() - _LOOK_BACK) : token.start()]
            if _BEFORE.search(before) is not None:
                yield written


class JavaScript(Extractor):
    """Relative imports, those of ``paths`` and ``baseUrl``, and packages of the workspace by their names."""

    suffixes: ClassVar = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".vue", ".svelte", ".astro")
    interpreters: ClassVar = ("node", "deno", "bun")

    def targets(self, path: str, text: str) -> Iterator[str]:
        """See `Extractor`."""
        directory = posixpath.dirname(path)
        for specifier in sought(specifiers_of(text)):
            plain = specifier.split("?")[0].replace("\\", "/")
            bases = (joined(directory, plain),) if plain.startswith(".") else self._elsewhere(plain, directory)
            found = next(
                (target for base in islice(bases, MEANINGS_MAX) if (target := self._file(base)) is not None), None
            )
            if found is not None:
                yield found

    def _file(self, base: str | None) -> str | None:
        """The file that is meant by a path without its ending, or with another one."""
        if base is None:
            return None
        if base in self.tree.files:
            return base
        root, ending = posixpath.splitext(base)
        written = [root + other for other in _WRITTEN_AS.get(ending, ())]
        index = [posixpath.join(base, f"index{other}") for other in ENDINGS]
        return self.tree.first(*(base + other for other in ENDINGS), *written, *index)

    def _elsewhere(self, specifier: str, directory: str) -> Iterator[str | None]:
        for aliases in self._aliases_at(directory):
            yield from aliases.candidates(specifier)
        yield from self._in_packages(specifier)

    def _in_packages(self, specifier: str) -> Iterator[str | None]:
        parts = specifier.split("/")
        length = 2 if specifier.startswith("@") else 1
        directory = self._packages.get("/".join(parts[:length]))
        if directory is not None:
            rest = "/".join(parts[length:])
            yield joined(directory, "src", rest)
            yield joined(directory, rest)
            yield joined(directory, "lib", rest)

    def _aliases_at(self, directory: str) -> tuple[Aliases, ...]:
        """Those of the nearest directory that has a tsconfig."""
        known = self._nearest.get(directory)
        if known is None:
            configured = (above for above in ancestors(directory) if above in self._configs)
            found = next(configured, None)
            known = () if found is None else self._read_configs(found)
            self._nearest[directory] = known
        return known

    def _read_configs(self, directory: str) -> tuple[Aliases, ...]:
        if directory not in self._read:
            read = (read_aliases(path, self.tree) for path in self._configs[directory][:CONFIGS_MAX])
            self._read[directory] = tuple(aliases for aliases in read if aliases is not None)
        return self._read[directory]

    @cached_property
    def _nearest(self) -> dict[str, tuple[Aliases, ...]]:
        return {}

    @cached_property
    def _read(self) -> dict[str, tuple[Aliases, ...]]:
        return {}

    @cached_property
    def _configs(self) -> dict[str, list[str]]:
        """The tsconfigs of each directory, the plain name first: those beside it are what it refers to."""
        found: dict[str, list[str]] = {}
        for path in self.tree.files:
            directory, name = posixpath.split(path)
            if name.startswith(("tsconfig", "jsconfig")) and name.endswith(".json"):
                found.setdefault(directory, []).append(path)
        return {directory: sorted(paths, key=lambda path: (len(path), path)) for directory, paths in found.items()}

    @cached_property
    def _packages(self) -> dict[str, str]:
        return package_names(self.tree)
