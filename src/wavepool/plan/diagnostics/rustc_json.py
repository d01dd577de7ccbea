"""The lines of ``cargo --message-format=json`` and of ``rustc --error-format=json``. Pure.

A line beyond what is kept of one is read by the beginning of its text for people, which stands first in it.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from wavepool.model.diagnostics import Diagnostic, Severity
from wavepool.plan.diagnostics.messages import tidy
from wavepool.plan.diagnostics.places import from_one, number

FURTHER_MAX: Final = 6
"""So many helps and notes are added to a message."""

_NOT_WORTH = re.compile(
    r"help: for further information visit|note: `(?:#\[|-[A-Z] )|help: to override `|note: this error originates in the"
    r"|note: (?:see |for more information)|note: +\"|note: some arguments are omitted"
)
_BEGINNINGS = ('{"reason":', '{"$message_type":"diagnostic"', '{"message":')
_RENDERED = re.compile(
    r'"rendered":"(error|warning)(?:\[([\w:]+)\])?: ((?:[^"\\]|\\[^n])*)\\n *--> ((?:[^"\\]|\\[^n])+?):(\d+):(\d+)\\n'
)


class _Span(msgspec.Struct):
    file_name: str
    line_start: int
    column_start: int
    is_primary: bool = False
    label: str | None = None


class _Code(msgspec.Struct):
    code: str


class _Child(msgspec.Struct):
    message: str
    level: str


class _Message(msgspec.Struct):
    message: str
    level: str
    code: _Code | None = None
    spans: list[_Span] = []
    children: list[_Child] = []


class _CargoLine(msgspec.Struct):
    reason: str
    message: _Message | None = None


_RUSTC = msgspec.json.Decoder(_Message)
_CARGO = msgspec.json.Decoder(_CargoLine)


def looks_like_message(line: str) -> bool:
    """Whether the line is one of theirs, a diagnostic or not."""
    return line.startswith(_BEGINNINGS) and (not line.startswith('{"message":') or '"spans":' in line)


def read_message(line: str, tool: str) -> Diagnostic | None:
    """The error or warning of such a line; None where it tells another thing."""
    if line.startswith('{"reason":') and not line.startswith('{"reason":"compiler-message"'):
        return None
    try:
        message = _CARGO.decode(line).message if line.startswith('{"reason":') else _RUSTC.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _by_its_text(line, tool)
    return None if message is None else _diagnostic(message, tool)


def worth_telling(advice: str) -> bool:
    """Whether a help or note helps whoever mends the error."""
    return _NOT_WORTH.match(advice) is None


def _diagnostic(message: _Message, tool: str) -> Diagnostic | None:
    if not message.level.startswith(("error", "warning")):
        return None
    primary = next((span for span in message.spans if span.is_primary), None)
    label = next((span.label for span in message.spans if span.is_primary and span.label), None)
    further = [advice for child in message.children if worth_telling(advice := f"{child.level}: {child.message}")]
    text = message.message if label is None else f"{message.message}: {label}"
    return Diagnostic(
        tool=tool,
        path=primary.file_name if primary else None,
        line=from_one(primary.line_start) if primary else None,
        column=from_one(primary.column_start) if primary else None,
        code=message.code.code if message.code else None,
        message=tidy("\n".join((text, *further[:FURTHER_MAX]))),
        severity=Severity.ERROR if message.level.startswith("error") else Severity.WARNING,
    )


def _by_its_text(line: str, tool: str) -> Diagnostic | None:
    match = _RENDERED.search(line[:8192])
    if match is None:
        return None
    word, code, message, path, row, column = match.groups()
    return Diagnostic(
        tool=tool,
        path=_plain(path),
        line=number(row),
        column=number(column),
        code=code,
        message=tidy(_plain(message)),
        severity=Severity.ERROR if word == "error" else Severity.WARNING,
    )


def _plain(escaped: str) -> str:
    try:
        return msgspec.json.decode(f'"{escaped}"', type=str)
    except (msgspec.MsgspecError, ValueError):
        return escaped
