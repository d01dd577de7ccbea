"""From a check's bytes to lines of text: encodings, line ends, colours, and what a terminal would have made of them."""

from __future__ import annotations

import codecs
import re
from typing import Final

LINE_MAX: Final = 64 * 1024
"""How many characters of a line are kept; the rest is dropped."""

OBJECT_MAX: Final = 4 * 1024 * 1024
"""The same of a line that begins as an object of JSON does: cut off, it is lost, whatever it tells."""

_HEAD_BYTES: Final = 64
"""So much is looked at to tell an encoding that no byte order mark tells."""

_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

_LINE_END = re.compile(r"\r+\n?")


class Decoder:
    r"""Bytes in pieces of any size to text whose only line end is ``\n``. A fault in the bytes becomes U+FFFD.

    UTF-8 and UTF-16, with a byte order mark or without one: text that is mostly ASCII shows UTF-16 by a NUL in every
    second byte. A carriage return alone ends a line, so that each state of a progress line is a line.
    """

    def __init__(self) -> None:
        self._head: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._returned = False

    def decode(self, data: bytes, *, final: bool = False) -> str:
        """The text that is certain so far; with `final`, all that is left."""
        if self._decoder is None:
            assert self._head is not None
            self._head += data
            if len(self._head) < _HEAD_BYTES and not final:
                return ""
            encoding, mark = encoding_of(self._head[:_HEAD_BYTES])
            self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
            data, self._head = self._head[mark:], None
        return self._with_line_ends(self._decoder.decode(data, final), final)

    def _with_line_ends(self, text: str, final: bool) -> str:
        if self._returned and (text or final):
            text = "\r" + text
            self._returned = False
        if "\r" not in text:
            return text
        if text.endswith("\r") and not final:
            text = text.rstrip("\r")
            self._returned = True
        return _LINE_END.sub("\n", text)


def encoding_of(head: bytes) -> tuple[str, int]:
    """The encoding of what begins with `head`, and how many bytes its byte order mark takes."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding, len(mark)
    pairs = len(head) // 2
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd * 2 > pairs and even * 4 < pairs:
        return "utf-16-le", 0
    if even * 2 > pairs and odd * 4 < pairs:
        return "utf-16-be", 0
    return "utf-8", 0


UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
"""What no line has that is read: control characters but the tab, and byte order marks (of files joined to one)."""

COLOUR = re.compile("\x1b\\[[0-9;:]*[mK]")
"""A sequence that colours, or clears the rest of a line as gcc does with each colour; it leaves nothing."""

_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)(?P<numbers>[0-?]*)[ -/]*(?P<final>[@-~])"  # CSI: colours and movements
    "|(?:\x1b\\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c)"  # OSC: titles, hyperlinks
    "|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]*(?:\x1b\\\\|\x9c)"  # strings for the terminal itself
    "|\x1b[ -/]*(?P<escape>[0-~])"
)
_AT_LINE_START = ("", "0", "1")
_JUMPS = frozenset("ABEFHJdf")
_WIDTH_MAX: Final = 256


def plain_lines(line: str) -> list[str]:
    """A line as a reader gets it; several, where it moves the cursor to another line or back to the beginning.

    Args:
        line: without its end; escape sequences that the line cuts off go as control characters do.
    """
    if UNPRINTABLE.search(line) is None:
        return [line]
    if UNPRINTABLE.search(uncoloured := COLOUR.sub("", line)) is None:
        return [uncoloured]
    return UNPRINTABLE.sub("", _SEQUENCE.sub(_effect, line)).split("\n")


def _effect(match: re.Match[str]) -> str:
    """What is left of an escape sequence: nothing, for colours and links; blanks; or the end of a line."""
    final, numbers = match["final"], match["numbers"]
    if final is None:
        return "\n" if match["escape"] == "c" else ""
    if final in _JUMPS or (final == "G" and numbers in _AT_LINE_START):
        return "\n"
    if final == "G":
        return " "
    if final == "C":
        return " " * _width(numbers)
    return ""


def _width(numbers: str) -> int:
    if not numbers.isdigit():
        return 1
    return min(int(numbers), _WIDTH_MAX) if len(numbers) < 6 else _WIDTH_MAX
