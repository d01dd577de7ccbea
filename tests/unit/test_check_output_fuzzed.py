"""Whatever the bytes are and however they are cut, the reader reads them, and reads the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reading_fuzz import assert_gathered, assert_sound, read, transcripts

TRANSCRIPTS = transcripts()
CUTS = st.lists(st.integers(0, 4000), max_size=6)

TOKENS = [
    *[line for transcript in TRANSCRIPTS for line in transcript.splitlines(keepends=True)[:20]],
    *[bytes([byte]) for byte in b'\x00\t\n\r\x1b[]{}()":,-|=^~ 0'],
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x99",
    b"\x1b[31m",
    b"\x1b]8;;",
    b'{"',
    b"[{",
    b"error",
    b"warning: ",
    b"Found 3 errors",
    b"99999999999999999999",
    b"\xd9\xa3",  # a digit that is none of ASCII's
    b"\xc2\xb2",
]


@given(data=st.binary(max_size=3000), cuts=CUTS)
@example(data=b"", cuts=[])
@example(data=b"[" * 3000, cuts=[1])
@example(data=b'{"' * 1500, cuts=[1000])
@example(data=b"\xff", cuts=[])
def test_any_bytes(data: bytes, cuts: list[int]) -> None:
    assert_sound(data, cuts)


@given(tokens=st.lists(st.sampled_from(TOKENS) | st.binary(max_size=4), max_size=60), cuts=CUTS)
def test_what_tools_write_mixed_up(tokens: list[bytes], cuts: list[int]) -> None:
    assert_sound(b"".join(tokens), cuts)


@given(data=st.data())
def test_transcripts_with_faults(data: st.DataObject) -> None:
    text = bytearray(data.draw(st.sampled_from(TRANSCRIPTS))[:3000])
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        text[start:end] = data.draw(
            st.sampled_from(TOKENS) | st.binary(max_size=8) | st.just(bytes(text[start:end]) * 3)
        )
    assert_sound(bytes(text), data.draw(CUTS))


@given(which=st.sampled_from(TRANSCRIPTS), encoding=st.sampled_from(["utf-16-le", "utf-16-be", "utf-8-sig"]), cuts=CUTS)
def test_transcripts_in_other_encodings(which: bytes, encoding: str, cuts: list[int]) -> None:
    text = which.decode(errors="replace")[:2000]
    assert_sound(text.encode(encoding), cuts)


ODD_TEXT = st.text(st.sampled_from("a/.\\\0\n\r\x1b\ud800\udcff\udfff%:ü"), max_size=12) | st.sampled_from(
    ["/x/\ud800.py", "file:///a%00b", "a\0b", "../" * 2000 + "x", "x/" * 40_000]
)
ODD_VALUE: st.SearchStrategy[Any] = ODD_TEXT | st.none() | st.booleans() | st.integers() | st.floats() | st.just({})


def _ruff(path: object, code: object, message: object) -> dict[str, object]:
    at = {"row": 1, "column": 1}
    return {"cell": None, "code": code, "end_location": at, "filename": path, "location": at, "message": message}


def _eslint(path: object, code: object, message: object) -> dict[str, object]:
    told = {"ruleId": code, "severity": 2, "message": message, "line": 1, "column": 1}
    return {"filePath": path, "messages": [told], "errorCount": 1, "warningCount": 0}


def _gcc(path: object, code: object, message: object) -> dict[str, object]:
    return {
        "kind": "error",
        "message": message,
        "option": code,
        "locations": [{"caret": {"file": path, "line": 1, "column": 1}}],
    }


def _shellcheck(path: object, code: object, message: object) -> dict[str, object]:
    at = {"line": 1, "endLine": 1, "column": 1, "endColumn": 1, "level": "error"}
    return {"file": path, **at, "code": 1086, "message": message, "fix": code}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(make=st.sampled_from([_ruff, _eslint, _gcc, _shellcheck]), values=st.tuples(ODD_VALUE, ODD_VALUE, ODD_VALUE))
@example(make=_ruff, values=("/x/\ud800.py", "F401", "\ud800"))
@example(make=_gcc, values=("/x/\udcff\0.py", "-W\ud800", "\ud800"))
def test_odd_values_are_placed_and_gathered(make: Any, values: tuple[Any, Any, Any], tmp_path: Path) -> None:
    for document in (json.dumps([make(*values)], separators=(",", ":")), json.dumps(make(*values)).replace(": ", ":")):
        found, _ = read([document.encode() + b"\n"])
        assert_gathered(found, tmp_path)
