"""Where a JSON document ends, in a stream that goes on after it."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

from wavepool.plan.diagnostics.base import BadDocument

DEPTH_MAX: Final = 100
"""How deep a document may be nested. Tools nest theirs about ten deep."""

STRING_MAX: Final = 16 * 1024 * 1024
"""How many characters of one string, such as the source of a file, a document may have."""

BARE_MAX: Final = 64 * 1024
"""How many characters outside of strings, such as digits, may follow on one another: parsers begin again with each."""

_NOT_BARE = re.compile(r'[\s\[\]{},:"]')
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_TOKEN = re.compile(r'"|[\[{]|[\]}]')
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}
_NO_BRACKET = re.compile(r"[^\[\]{}]+")


class Balance:
    """Counts the brackets of one document outside its strings, in pieces of any size."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._string_length = 0
        self._bare_length = 0

    def end_in(self, text: str) -> int | None:
        """The place just after the document's last bracket in `text`, the next piece; None where it is not there.

        Raises:
            BadDocument: it is nested too deep, or a string or number in it is too long, to be read within bounds.
        """
        skipped = 1 if self._escaped and text else 0
        brackets, in_string, escaped = self._outside(text[skipped:])
        depths = list(accumulate(map(_STEP.__getitem__, brackets), initial=self._depth))
        if 0 in depths[1:]:
            return skipped + _place(text[skipped:], depths.index(0, 1), self._in_string)
        if max(depths) > DEPTH_MAX:
            raise BadDocument(f"it is nested more than {DEPTH_MAX} levels deep")
        self._measure_string(text)
        self._measure_bare(text)
        self._depth = depths[-1]
        self._in_string = in_string
        self._escaped = escaped if text else self._escaped
        return None

    def _measure_string(self, text: str) -> None:
        """Bounds what a string that has not ended may have, counted in whole pieces."""
        self._string_length = 0 if '"' in text else self._string_length + len(text)
        if self._in_string and self._string_length > STRING_MAX:
            raise BadDocument(f"a string in it is longer than {STRING_MAX // 2**20} MiB")

    def _measure_bare(self, text: str) -> None:
        """The same for what is in no string, and neither blank nor bracket, comma or colon."""
        bare = not self._in_string and _NOT_BARE.search(text) is None
        self._bare_length = self._bare_length + len(text) if bare else 0
        if self._bare_length > BARE_MAX:
            raise BadDocument(f"a word or number in it is longer than {BARE_MAX // 1024} KiB")

    def _outside(self, text: str) -> tuple[str, bool, bool]:
        """The brackets of `text` outside strings; whether its end is in a string; whether that ends by a backslash."""
        escaped = False
        if "\\" in text:
            text = _ESCAPE.sub("", text)
            escaped = text.endswith("\\")
        parts = text.split('"')
        outside = "".join(parts[1 if self._in_string else 0 :: 2])
        return _NO_BRACKET.sub("", outside), self._in_string == (len(parts) % 2 == 1), escaped


def _place(text: str, number: int, in_string: bool) -> int:
    """The place just after the bracket of that number, from 1, that is not in a string."""
    hidden = _ESCAPE.sub("  ", text)
    for token in _TOKEN.finditer(hidden):
        if token[0] == '"':
            in_string = not in_string
        elif not in_string:
            number -= 1
            if number == 0:
                return token.end()
    raise AssertionError("the brackets were counted in this very text")
