"""Where in a text a document may begin: cheaply, as few lines do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from wavepool.plan.diagnostics.base import DocumentReader


class Beginnings:
    """Finds what these kinds of documents may begin with, by the names that they have first."""

    def __init__(self, kinds: Sequence[type[DocumentReader]]) -> None:
        entry = _object(key for kind in kinds for key in kind.entry_keys)
        perhaps = rf"(?:{_object(key for kind in kinds for key in kind.object_keys)}|\[\s*+(?:\Z|{entry}))"
        self._at_once = re.compile(perhaps)
        self._in_a_later_line = re.compile(rf"\n{perhaps}")

    def begins(self, text: str) -> bool:
        """Whether the text may begin with a document, as far as can be seen."""
        return self._at_once.match(text) is not None

    def next_line(self, text: str, start: int) -> int | None:
        """The first line behind a line's end from `start` on with which a document may begin; None for none."""
        match = self._in_a_later_line.search(text, start)
        return None if match is None else match.start() + 1


def _object(keys: Iterable[str]) -> str:
    """An object whose first name is one of these, or is cut off."""
    names = "|".join(map(re.escape, keys)) or "(?!)"
    return rf'\{{\s*+(?:\Z|"(?:[\w$-]*+\Z|(?:{names})"))'
