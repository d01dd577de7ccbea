"""From text in pieces to lines as readers get them."""

from __future__ import annotations

from wavepool.plan.diagnostics.decoding import LINE_MAX, UNPRINTABLE, plain_lines


class LineCutter:
    r"""Cuts text at each ``\n``; keeps what a line has so far, at most `LINE_MAX` characters of it."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0

    @property
    def at_start(self) -> bool:
        """Whether the next character begins a line."""
        return not self._length

    def cut(self, text: str) -> list[str]:
        """The lines that are complete with this piece, plain."""
        lines = text.split("\n")
        rest = lines.pop()
        if not lines:
            self._keep(rest)
            return []
        plain = UNPRINTABLE.search(text) is None
        if self._parts:
            self._keep(lines[0])
            lines[0] = self._take()
            plain = plain and UNPRINTABLE.search(lines[0]) is None
        self._keep(rest)
        if max(map(len, lines)) > LINE_MAX:
            lines = [line[:LINE_MAX] for line in lines]
        return lines if plain else [part for line in lines for part in plain_lines(line)]

    def end(self) -> list[str]:
        """The line that the end of the text cuts off, if any."""
        return plain_lines(self._take()) if self._parts else []

    def _keep(self, text: str) -> None:
        self._length += len(text)
        room = LINE_MAX - self._length + len(text)
        if room > 0 and text:
            self._parts.append(text[:room])

    def _take(self) -> str:
        line = "".join(self._parts)
        self._parts.clear()
        self._length = 0
        return line
