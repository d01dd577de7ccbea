"""From text in pieces to lines as readers get them."""

from __future__ import annotations

from wavepool.plan.diagnostics.decoding import COLOUR, LINE_MAX, OBJECT_MAX, UNPRINTABLE, plain_lines


class LineCutter:
    r"""Cuts text at each ``\n``; keeps of each line at most `LINE_MAX` characters of it; `OBJECT_MAX` after a brace.

    Attributes:
        cut_objects: how many lines that begin with a brace were longer than that.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self.cut_objects = 0

    @property
    def at_start(self) -> bool:
        """Whether the next character begins a line."""
        return not self._length

    def cut(self, text: str) -> list[str]:
        """The lines that are complete with this piece, plain."""
        first, newline, further = text.partition("\n")
        self._keep(first)
        if not newline:
            return []
        lines = plain_lines(self._take())
        further, newline, rest = further.rpartition("\n")
        self._keep(rest)
        return lines + _all_plain(further) if newline else lines

    def end(self) -> list[str]:
        """The line that the end of the text cuts off, if any."""
        return plain_lines(self._take()) if self._parts else []

    def _keep(self, text: str) -> None:
        if not text:
            return
        is_object = (self._parts or [text])[0][0] == "{"
        room = (OBJECT_MAX if is_object else LINE_MAX) - self._length
        self._length += len(text)
        if is_object and 0 <= room < len(text):
            self.cut_objects += 1
        if room > 0:
            self._parts.append(text[:room])

    def _take(self) -> str:
        line = "".join(self._parts)
        self._parts.clear()
        self._length = 0
        return line


def _all_plain(text: str) -> list[str]:
    """As `plain_lines` of each line, but at once where that comes to the same: most output has colours at most."""
    lines = text.split("\n")
    if max(map(len, lines)) > LINE_MAX:
        lines = [line[: OBJECT_MAX if line.startswith("{") else LINE_MAX] for line in lines]
    elif UNPRINTABLE.search(text) is None:
        return lines
    elif UNPRINTABLE.search(uncoloured := COLOUR.sub("", text)) is None:
        return uncoloured.split("\n")
    return [part for line in lines for part in plain_lines(line)]
