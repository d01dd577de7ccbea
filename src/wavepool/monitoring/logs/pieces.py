"""What is handed to those who look at output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of an attempt's output.

    Attributes:
        attempt: its number.
        offset: where `data` begins.
        total_bytes: of all output that there is now.
        live: more may come.
        problem: what is missing of it, in a sentence; empty for nothing.
    """

    attempt: int
    offset: int
    data: bytes
    total_bytes: int
    live: bool
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One place where the text that was looked for stands.

    `line` is the part of its line around it, at most `scanning.AROUND_BYTES` before and after; `column` is where the
    match begins in `line`, in bytes.
    """

    offset: int
    line: bytes
    column: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search came to.

    Attributes:
        next_offset: where to go on from; None where all was searched.
        searched_bytes: how much this search has looked through.
        total_bytes: as of `Piece`; at least so much, where a live one was not read to its end.
        problem: what was not searched, as it is missing of the output, in a sentence; empty for nothing.
    """

    attempt: int
    matches: tuple[Match, ...]
    next_offset: int | None
    searched_bytes: int
    total_bytes: int
    live: bool
    problem: str = ""


class Viewer(Protocol):
    """Takes what is followed, in order. Each call may wait for as long as the one behind it is slow."""

    async def attempt(self, number: int, offset: int) -> None:
        """The output of this attempt comes now, from `offset` on."""

    async def data(self, piece: bytes) -> None:
        """Bytes as they were written, none empty."""

    async def gap(self, why: str) -> None:
        """Output is missing here, or may be."""

    async def end(self, state: str, why: str) -> None:
        """Nothing more will come: the state of the attempt or the task, and what is to be said of that."""
