"""Finds, in many lines at once, those with which some reader may take over: noise must cost next to nothing."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Final

_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\\[]", re.DOTALL)
"""An escape, a set, or one character of a regular expression."""

_ALWAYS: Final = ""


class Signs:
    """The signs of several readers, which are known by their numbers.

    A sign that is bound to the beginning of the line is matched with each line: first all of them as one expression,
    then, where that matches, as one that tells which. The others are searched for each by itself, in many lines as one
    text: one that begins with letters is found at the speed of `str.find`, which no alternation is.
    """

    def __init__(self, signs: Sequence[str | None]) -> None:
        """Args: `signs`: of each reader by its number; None: it may take over with any line."""
        beginnings: dict[int, list[str]] = {}
        inside: list[tuple[int, str]] = []
        for number, sign in enumerate(signs):
            for part in (_ALWAYS,) if sign is None else alternatives(sign):
                if part.startswith("^"):
                    beginnings.setdefault(number, []).append(part[1:])
                else:
                    inside.append((number, part))
        told = {number: "|".join(parts) for number, parts in beginnings.items()}
        self._any_beginning = re.compile("|".join(told.values()) or "(?!)")
        self._beginnings = re.compile("".join(f"(?:(?={parts})())?" for parts in told.values()))
        self._begin = tuple(told)
        self._inside = [(number, re.compile(part, re.MULTILINE)) for number, part in inside]
        self._without_colon = [(number, part) for number, part in self._inside if not _has_colon(part.pattern)]
        self._of_empty = {number for number, part in self._inside if part.search("")}

    def of(self, lines: Sequence[str]) -> dict[int, set[int]]:
        """The places of the lines with a sign, and the numbers of the readers whose sign each has."""
        if len(lines) == 1:
            numbers = self._of_one(lines[0])
            return {0: numbers} if numbers else {}
        signed: dict[int, set[int]] = {}
        begins = self._any_beginning.match
        for place in [place for place, line in enumerate(lines) if line and begins(line)]:
            signed[place] = self._beginning(lines[place])
        text = "\n".join(lines)
        starts: list[int] = []
        for number, part in self._inside:
            for place in _places(part, text, lines, starts):
                signed.setdefault(place, set()).add(number)
        return signed

    def _of_one(self, line: str) -> set[int]:
        if not line:
            return self._of_empty
        numbers = self._beginning(line) if self._any_beginning.match(line) else set()
        for number, part in self._inside if ":" in line else self._without_colon:
            if part.search(line):
                numbers.add(number)
        return numbers

    def _beginning(self, line: str) -> set[int]:
        match = self._beginnings.match(line)
        assert match is not None
        return {number for number, mark in zip(self._begin, match.groups(), strict=True) if mark is not None}


def _places(part: re.Pattern[str], text: str, lines: Sequence[str], starts: list[int]) -> Iterable[int]:
    """The places of the lines in which it is found; `starts`: where each line begins, filled when first needed."""
    found = part.search(text)
    while found is not None:
        if not starts:
            starts.extend(accumulate((len(line) + 1 for line in lines), initial=0))
        place = bisect_right(starts, found.start()) - 1
        yield place
        after = starts[place + 1]
        found = part.search(text, after) if after <= len(text) else None


def _has_colon(part: str) -> bool:
    """Whether the part of a sign that this is can surely be found in no line without a colon: most are not."""
    depth = 0
    for piece, after in pairwise([*_PIECE.findall(part), ""]):
        depth += (piece == "(") - (piece == ")")
        if piece == ":" and depth == 0 and after not in ("?", "*", "{"):
            return True
    return False


def alternatives(expression: str) -> list[str]:
    """The parts of a regular expression between those ``|`` that are in no group and no set."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(expression):
        depth += (piece == "(") - (piece == ")")
        if piece == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return parts
