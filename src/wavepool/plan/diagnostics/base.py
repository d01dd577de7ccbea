"""What reads one tool's output. One file for each tool; which of them reads a line or document, `reading` decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from wavepool.model.diagnostics import Found


class LineReader(ABC):
    """Reads what one tool writes for people, line by line, in memory that does not grow with the output.

    Attributes:
        tool: the name of the tool in what is found.
        languages: what ``--language`` may say to have it among the readers; none: whatever it says.
        signs: a regular expression that is found in each line with which this reader may take over from another, and
            perhaps in others; None: it is offered each line, which makes noise dear. It may not reach over the end of
            a line (no ``\\s``, no ``[^x]``) nor have a group that is numbered. Cheap are parts, between ``|`` outside
            of groups, that begin with ``^`` or with some letters as they stand.
        last: whether it reads only what no other reader claims, even while it is the one that reads.
    """

    tool: ClassVar[str]
    languages: ClassVar[tuple[str, ...]]
    signs: ClassVar[str | None] = None
    last: ClassVar[bool] = False

    @abstractmethod
    def read(self, line: str) -> Sequence[Found] | None:
        """What is complete with this line; None where the line is not of this tool.

        A line that only goes on with what came before (an excerpt, a note, a summary) is of this tool, and may bring
        nothing. What is under way stays so over lines that are not of this tool.

        Args:
            line: without its end, colours, or other control characters; at most `decoding.LINE_MAX` characters;
                `OBJECT_MAX` after a brace.
        """

    def end(self) -> Sequence[Found]:
        """What was still under way when the output ended, or another reader took over; lines may still follow."""
        return ()


class DocumentReader(ABC):
    """Reads a JSON document that one tool writes for machines, piece by piece, in memory that does not grow with it.

    Where it ends is found by `balance`: a reader gets the document and nothing else, and one document only.

    Attributes:
        tool, languages: as of a `LineReader`.
        object_keys: the first name in a document that is an object is one of these.
        entry_keys: the first name in the first object of a document that is a list is one of these.
    """

    tool: ClassVar[str]
    languages: ClassVar[tuple[str, ...]]
    object_keys: ClassVar[tuple[str, ...]] = ()
    entry_keys: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @abstractmethod
    def recognises(cls, head: str) -> bool:
        """Whether a document that begins like this (up to 4096 characters, blanks before it dropped) is this tool's."""

    @abstractmethod
    def feed(self, text: str) -> Sequence[Found]:
        """What is complete with this piece.

        Raises:
            BadDocument: it is not what its beginning promised; or cut off, at `end`.
        """

    @abstractmethod
    def end(self) -> Sequence[Found]:
        """What is complete with the end of the document. Raises BadDocument: it is cut off."""


class BadDocument(Exception):
    """A document that cannot be read on. `str()` says why, in one sentence.

    Attributes:
        found: what was complete before the fault, and is not told otherwise.
    """

    def __init__(self, why: str, found: Sequence[Found] = ()) -> None:
        super().__init__(why)
        self.found = found
