"""From bytes to the plan's JSON object: encoding, banner text around it, duplicate keys, numbers that are none."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from json import JSONDecodeError
from typing import Any

from wavepool.errors import PlanError, Words

_OBJECT_START = re.compile(r'\{\s*+(?:\}|"(?:[^"\\\x00-\x1f]|\\.)*+"\s*+:)')
"""Where a JSON object begins, as against a brace in banner text. Possessive: linear on any input."""

_CONTENT = re.compile(r"\S")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class _Flaw:
    """Stands in the decoded document for what must not be there, so that the walk can tell its path."""

    __slots__ = ("expected", "key", "value")

    def __init__(self, value: object, expected: str, key: str | None = None) -> None:
        self.value = value
        self.expected = expected
        self.key = key


def read_document(raw: bytes, source: str) -> dict[str, object]:
    """The first JSON object with a ``waves`` field in `raw`. Text before and after it is ignored.

    Args:
        raw: the file; UTF-8, with or without a byte order mark.
        source: its name, for messages.

    Raises:
        PlanError: empty, another encoding, no such object, truncated, or with duplicate keys, NaN, infinities, lone
            surrogates or too many digits or levels.
    """
    text = _decode(raw, source)
    content = _CONTENT.search(text)
    if content is None:
        raise PlanError(source, Words("an empty file"), "a wave plan as JSON")
    if content[0] == "[":
        _refuse_list(text, source)
    failure = PlanError(source, text[content.start() : content.start() + 60], "a JSON object with a list of waves")
    match = _OBJECT_START.search(text) or (content if content[0] == "{" else None)
    while match is not None:
        document, end, flawed = _decode_value(text, match.start(), source)
        if isinstance(document, _Flaw) or "waves" in document:
            return _checked(document, text, flawed)
        failure = PlanError("waves", None, f"a list of waves in {source}")
        match = _OBJECT_START.search(text, end)
    raise failure


def read_json(raw: bytes, source: str) -> object:
    """The one JSON value that `raw` is; read as strictly as plans are.

    Raises:
        PlanError: as `read_document`, or there is more than one.
    """
    text = _decode(raw, source)
    content = _CONTENT.search(text)
    if content is None:
        raise PlanError(source, Words("an empty file"), "JSON")
    document, end, flawed = _decode_value(text, content.start(), source)
    rest = _CONTENT.search(text, end)
    if rest is not None:
        raise PlanError(source, text[rest.start() : rest.start() + 40], "the end of the file after one JSON value")
    _refuse_flaws(document, text, flawed)
    return document


def _decode_value(text: str, start: int, source: str) -> tuple[Any, int, bool]:
    """The value that begins at `start`, where it ends, and whether there is a flaw in it."""
    reading = _Reading()
    try:
        document, end = reading.decode(text, start)
    except JSONDecodeError as error:
        raise _not_json(text, error, source) from None
    except RecursionError:
        raise PlanError(source, Words("JSON nested too deeply"), "JSON of a few levels") from None
    except ValueError as error:  # more digits than Python turns into a number
        raise PlanError(source, Words("a number of too many digits"), f"numbers of ordinary size ({error})") from None
    return document, end, reading.flawed


class _Reading:
    """One pass of the JSON decoder. `flawed` is True once it has put a `_Flaw` into the document."""

    def __init__(self) -> None:
        self.flawed = False
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant, parse_float=self._float
        )

    def decode(self, text: str, start: int) -> tuple[Any, int]:
        """The value that begins at `start`, and where it ends."""
        return self._decoder.raw_decode(text, start)

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object] | _Flaw:
        built = dict(pairs)
        return built if len(built) == len(pairs) else self._duplicate(pairs)

    def _duplicate(self, pairs: list[tuple[str, object]]) -> _Flaw:
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # None goes on
        self.flawed = True
        return _Flaw(twice, "each key once in an object", twice)

    def _constant(self, text: str) -> _Flaw:
        self.flawed = True
        return _Flaw(text, "a number (JSON has no NaN and no infinities)")

    def _float(self, text: str) -> float | _Flaw:
        number = float(text)
        return number if math.isfinite(number) else self._constant(text)


def _decode(raw: bytes, source: str) -> str:
    encoding = _foreign_encoding(raw)
    if encoding:
        raise PlanError(source, Words(encoding), f"UTF-8; convert it with: iconv -f {encoding} -t UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError(source, Words(f"byte 0x{raw[error.start]:02x} at offset {error.start}"), "UTF-8") from None


def _foreign_encoding(raw: bytes) -> str | None:
    """UTF-16 or UTF-32 by its byte order mark, or by the NULs that ASCII text has in it."""
    if raw[:4] in {b"\xff\xfe\0\0", b"\0\0\xfe\xff"} or raw[:3] == b"\0\0\0" or raw[1:4] == b"\0\0\0":
        return "UTF-32"
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} or (len(raw) > 1 and (raw[0] == 0) != (raw[1] == 0)):
        return "UTF-16"
    return None


def _refuse_list(text: str, source: str) -> None:
    """Raise if all of `text` is one JSON list; a banner such as ``[batcher] 3 waves`` is not."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return
    raise PlanError(source, Words("a JSON list"), "a JSON object with a list of waves")


def _not_json(text: str, error: JSONDecodeError, source: str) -> PlanError:
    where = f"{source}, line {error.lineno}, column {error.colno}"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return PlanError(where, Words("the end of the file inside the JSON"), "the rest of the file (is it cut off?)")
    return PlanError(where, text[error.pos : error.pos + 40], f"valid JSON ({error.msg})")


def check_texts(document: object) -> None:
    """See that every text of a document has bytes.

    Raises:
        PlanError: naming the first one with lone surrogates.
    """
    for path, value in _walk(document):
        _refuse_flaw(path, value)


def _refuse_flaws(document: object, text: str, flawed: bool) -> None:
    # The walk visits every value; plans that cannot have what it looks for are spared it.
    if flawed or _SURROGATE_ESCAPE.search(text):
        check_texts(document)


def _checked(document: dict[str, object] | _Flaw, text: str, flawed: bool) -> dict[str, object]:
    _refuse_flaws(document, text, flawed)
    assert isinstance(document, dict)  # a flaw as the whole document was refused by the walk
    return document


def _refuse_flaw(path: _Path, value: object) -> None:
    if isinstance(value, _Flaw):
        raise PlanError(_render(path if value.key is None else (path, value.key)), value.value, value.expected)
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise PlanError(_render(path), value, "text without lone surrogates (\\ud800 to \\udfff)") from None


_Path = tuple["_Path | None", "str | int"] | None
"""A path as a chain of (parent, key or index); rendered only when there is something to say."""


def _walk(document: object) -> Iterator[tuple[_Path, object]]:
    """Every value and every key of the document, with its path. Not recursive: documents may be deep."""
    stack: list[tuple[_Path, object]] = [(None, document)]
    while stack:
        path, value = stack.pop()
        yield path, value
        if isinstance(value, dict):
            for key, member in value.items():
                yield (path, key), key
                stack.append(((path, key), member))
        elif isinstance(value, list):
            stack.extend(((path, index), member) for index, member in enumerate(value))


def _render(path: _Path) -> str:
    parts: list[str] = []
    while path is not None:
        path, key = path
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}" if key.isidentifier() else f"[{key!r:.60}]")
    return "".join(reversed(parts)).removeprefix(".")
