"""Text that an agent wrote, made fit for reports: bounded, without control characters, always valid Unicode."""

from __future__ import annotations

import re

from wavepool.agents.base import FINAL_TEXT_MAX_CHARACTERS, TEXT_MAX_CHARACTERS

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_LOOKED_AT = 4
"""How many times the bound is looked at, so that a text that is long beyond all measure costs little."""


def one_line(text: str, limit: int = TEXT_MAX_CHARACTERS) -> str:
    """Its words on one line of at most `limit` characters; an ellipsis stands for what was left out."""
    head = text[: limit * _LOOKED_AT]
    line = " ".join(_clean(head).split())
    if len(line) > limit or len(head) < len(text):
        return line[: limit - 1].rstrip() + "…"
    return line


def last_words(text: str, limit: int = FINAL_TEXT_MAX_CHARACTERS) -> str:
    """The text with its lines, at most `limit` characters of it: of a longer one the end, after an ellipsis."""
    tail = _clean(text[-limit * _LOOKED_AT :]).strip()
    if len(tail) > limit or len(text) > limit * _LOOKED_AT:
        return "…" + tail[-(limit - 1) :]
    return tail


def _clean(text: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
