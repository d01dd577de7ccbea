"""Reads one stream of a check's output: its documents, and the lines between them (decision 30)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wavepool.model.diagnostics import Found
from wavepool.plan.diagnostics.balance import Balance
from wavepool.plan.diagnostics.base import BadDocument, DocumentReader
from wavepool.plan.diagnostics.beginnings import Beginnings
from wavepool.plan.diagnostics.choosing import LineReading
from wavepool.plan.diagnostics.decoding import LINE_MAX, OBJECT_MAX, Decoder
from wavepool.plan.diagnostics.directories import MARK, Directories, in_directories
from wavepool.plan.diagnostics.lines import LineCutter
from wavepool.plan.diagnostics.registry import document_readers, line_readers

PIECE_BYTES: Final = 256 * 1024
"""So much is decoded at once, however much is fed."""

HEAD_MAX: Final = 4096
"""How many characters a document is recognised by."""

SLICE: Final = 8 * 1024
"""In so many characters at once the end of a document is looked for."""

PROBLEMS_MAX: Final = 20
"""So many broken documents are told; after them, documents are taken for lines."""


class OutputReader:
    """Reads one of a check's two streams, in pieces of any size, in memory that does not grow with it.

    Whatever the bytes are, reading does not fail; what could not be read is told by `problems`.
    """

    def __init__(self, languages: frozenset[str] | None = None) -> None:
        """Args: `languages`: only the tools for these are read; None: all tools."""
        self.problems: list[str] = []
        """What could not be read: sentences, `PROBLEMS_MAX` of documents at most, and one of lines."""
        self._directories = Directories()
        self._decoder = Decoder()
        self._cutter = LineCutter()
        self._lines = LineReading(line_readers(languages))
        self._kinds = document_readers(languages)
        self._beginnings = Beginnings(self._kinds)
        self._document: _Document | None = None
        self._held = ""
        """What begins a line and may be the head of a document: less than `HEAD_MAX` characters."""

    @property
    def entered(self) -> tuple[str, ...]:
        """The directories in which tools were started, as make or ninja said so far, and ``.``; none: nobody did."""
        return self._directories.entered

    def feed(self, data: bytes) -> list[Found]:
        """What is complete with this piece of the stream."""
        found: list[Found] = []
        for start in range(0, len(data), PIECE_BYTES):
            self._read(self._decoder.decode(data[start : start + PIECE_BYTES]), found, final=False)
        return found

    def end(self) -> list[Found]:
        """What is complete with the end of the stream, after which nothing may be fed."""
        found: list[Found] = []
        self._read(self._decoder.decode(b"", final=True), found, final=True)
        if self._document is not None:
            self._read_document("", found, final=True)
        self._read_lines(self._cutter.end(), found)
        if cut := self._cutter.cut_objects:
            self.problems.append(f"lines of JSON were longer than {OBJECT_MAX // 2**20} MiB and are lost: {cut}")
        found.extend(self._placed(self._lines.end()))
        return found

    def _read(self, text: str, found: list[Found], *, final: bool) -> None:
        text, self._held = self._held + text, ""
        tested = 0
        while text:
            if self._document is not None:
                text, tested = self._read_document(text, found)
                continue
            start, kind = self._next_document(text, tested, final=final)
            self._read_lines(self._cutter.cut(text[:start]), found)
            text = text[start:]
            if kind is None:
                self._held = text
                return
            self._document = _Document(kind())

    def _read_lines(self, lines: list[str], found: list[Found]) -> None:
        """Reads the lines between those with which make enters or leaves a directory."""
        first = 0
        for place in [place for place, line in enumerate(lines) if MARK in line]:
            before = self._directories.current
            if self._directories.follow(lines[place]):
                told = (*self._lines.read(lines[first:place]), *self._lines.end())
                found.extend(in_directories(told, before))
                first = place + 1
        found.extend(self._placed(self._lines.read(lines[first:] if first else lines)))

    def _placed(self, found: Sequence[Found]) -> Sequence[Found]:
        return in_directories(found, self._directories.current)

    def _next_document(self, text: str, tested: int, *, final: bool) -> tuple[int, type[DocumentReader] | None]:
        """Where lines end and a document, or what may be one, begins; and its reader, None where that isn't known yet.

        Args: `tested`: at the places before this one, no document begins.
        """
        while (start := self._next_start(text, tested)) is not None:
            head = text[start : start + HEAD_MAX]
            if len(head) < HEAD_MAX and not final:
                return start, None
            for kind in self._kinds:
                if kind.recognises(head):
                    return start, kind
            tested = start + 1
        return len(text), None

    def _next_start(self, text: str, tested: int) -> int | None:
        if not self._kinds or len(self.problems) >= PROBLEMS_MAX:
            return None
        if tested == 0 and self._cutter.at_start and self._beginnings.begins(text):
            return 0
        return self._beginnings.next_line(text, max(tested - 1, 0))

    def _read_document(self, text: str, found: list[Found], *, final: bool = False) -> tuple[str, int]:
        """Reads on in the document; returns the text after it, and up to where no other begins in that.

        A broken document is read again as lines, from the beginning of the line that shows it to be broken.
        """
        document = self._document
        assert document is not None
        try:
            found.extend(self._placed(document.feed(text) if not final else document.reader.end()))
        except BadDocument as problem:
            found.extend(self._placed(problem.found))
            self._tell(document.reader.tool, problem)
            self._document = None
            return document.line_so_far + text, 1
        if document.rest is None:
            return "", 0
        self._document = None
        return document.rest, 0

    def _tell(self, tool: str, problem: BadDocument) -> None:
        self.problems.append(f"{tool}: {problem}")
        if len(self.problems) == PROBLEMS_MAX:
            self.problems[-1] += f". {PROBLEMS_MAX} documents were broken: further ones are read as lines"


class _Document:
    """A document under way.

    Attributes:
        line_so_far: what the pieces before have of the line that is under way, up to `LINE_MAX` characters.
        rest: what follows the document; None before its end.
    """

    def __init__(self, reader: DocumentReader) -> None:
        self.reader = reader
        self.line_so_far = ""
        self.rest: str | None = None
        self._balance = Balance()

    def feed(self, text: str) -> list[Found]:
        """What is complete with this piece. Raises BadDocument, and `line_so_far` is as before this piece then."""
        end = self._end_in(text)
        found = list(self.reader.feed(text[:end]))
        if end is not None:
            found.extend(self.reader.end())
            self.rest = text[end:]
        _, newline, line = text.rpartition("\n")
        self.line_so_far = (line if newline else self.line_so_far + line)[:LINE_MAX]
        return found

    def _end_in(self, text: str) -> int | None:
        """Where the document ends, looked for in slices: many small documents may stand in one piece."""
        for start in range(0, len(text), SLICE):
            end = self._balance.end_in(text[start : start + SLICE])
            if end is not None:
                return start + end
        return None
