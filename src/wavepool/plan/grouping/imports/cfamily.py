"""What C and C++ files include."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import ClassVar

from wavepool.plan.grouping.imports.base import Extractor, ancestors, joined, sought

INCLUDE_DIRECTORIES = ("", "include", "inc", "src")
"""Where headers usually lie, in the directories above what includes them: the flags of the compiler are not known."""

_INCLUDE = re.compile(r'^[ \t]*+(?:#|%:)[ \t]*+(?:include|import|include_next)[ \t]*+(["<])([^">\n]++)[">]', re.M)


def includes_of(text: str) -> list[tuple[bool, str]]:
    """What a text includes: whether in quotes, and the name; what stands in comments too."""
    return [(mark == '"', name.strip().replace("\\", "/")) for mark, name in _INCLUDE.findall(text)]


class CFamily(Extractor):
    """A header in quotes is looked for beside the file, at the usual places above, and by its name where only one file
    has it; one in brackets at the usual places alone.
    """

    suffixes: ClassVar = (
        *(".c", ".h", ".cc", ".cpp", ".cxx", ".c++", ".hh", ".hpp", ".hxx", ".h++", ".inl", ".ipp", ".tpp"),
        *(".m", ".mm", ".cu", ".cuh"),
    )

    def targets(self, path: str, text: str) -> Iterator[str]:
        """See `Extractor`."""
        directory = posixpath.dirname(path)
        for quoted, name in sought(includes_of(text)):
            found = self._found(name, directory, quoted=quoted)
            if found is not None:
                yield found

    def _found(self, name: str, directory: str, *, quoted: bool) -> str | None:
        beside = joined(directory, name) if quoted else None
        above = (posixpath.join(each, place) for each in ancestors(directory) for place in INCLUDE_DIRECTORIES)
        usual = (joined(each, name) for each in above if quoted or posixpath.basename(each) in INCLUDE_DIRECTORIES[1:])
        by_name = self.tree.ending(name) if quoted or "/" in name else None
        return self.tree.first(beside, *usual, by_name)
