"""A diagnostic whose message may go on in the next line."""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.diagnostics.decoding import UNPRINTABLE

MESSAGE_MAX: Final = 8 * 1024
"""How many characters of a message are kept; further lines are dropped."""


HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")
"""What JSON can write and no encoding can: it becomes U+FFFD wherever it is told."""


class Pending:
    """The one diagnostic that a reader has begun, if any."""

    def __init__(self) -> None:
        self._diagnostic: Diagnostic | None = None
        self._further: list[str] = []
        self._room = 0

    def begin(self, diagnostic: Diagnostic) -> None:
        """Holds this one; take the one before first."""
        self._room = MESSAGE_MAX - len(diagnostic.message)
        self._diagnostic = diagnostic if self._room >= 0 else replace(diagnostic, message=cut(diagnostic.message))
        self._further = []

    def go_on(self, line: str) -> None:
        """Adds a line to its message, as long as there is room; nothing where none is held."""
        self._room -= len(line) + 1
        if self._room >= 0:
            self._further.append(line.rstrip())

    def take(self) -> tuple[Diagnostic, ...]:
        """The one that was held, whole; it is held no longer."""
        held, self._diagnostic = self._diagnostic, None
        if held is None:
            return ()
        if not self._further:
            return (held,)
        return (replace(held, message="\n".join((held.message, *self._further))),)


def cut(message: str) -> str:
    """The message, of at most `MESSAGE_MAX` characters."""
    return message if len(message) <= MESSAGE_MAX else message[: MESSAGE_MAX - 1] + "…"


def tidy(text: str) -> str:
    r"""What a document says, as lines would have said it: no control characters but tabs and ``\n``, and cut."""
    return cut(HALF_CHARACTER.sub("\ufffd", UNPRINTABLE.sub("", text.replace("\r\n", "\n"))))
