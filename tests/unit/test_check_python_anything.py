"""Whatever is written, the readers of Python's tools read on, and what they hold has bounds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.diagnostics.base import BadDocument, DocumentReader, LineReader
from wavepool.plan.diagnostics.decoding import LINE_MAX
from wavepool.plan.diagnostics.messages import MESSAGE_MAX
from wavepool.plan.diagnostics.mypy import MypyReader
from wavepool.plan.diagnostics.mypy_json import MypyJsonReader
from wavepool.plan.diagnostics.pyright import PyrightReader
from wavepool.plan.diagnostics.pyright_json import PyrightJsonReader
from wavepool.plan.diagnostics.pytest import PytestReader
from wavepool.plan.diagnostics.ruff import RuffReader
from wavepool.plan.diagnostics.ruff_json import RuffJsonLinesReader, RuffJsonReader

LINE_READERS: list[type[LineReader]] = [
    MypyReader,
    MypyJsonReader,
    PyrightReader,
    RuffReader,
    RuffJsonLinesReader,
    PytestReader,
]
DOCUMENTS: list[tuple[type[DocumentReader], str]] = [
    (PyrightJsonReader, '{"version": "1", "time": "2", "generalDiagnostics": [%s], "summary": %s}'),
    (RuffJsonReader, '[{"cell": null, "end_location": {}}, %s, %s]'),
]

PARTS = [
    *("a.py", "a b.c", ":", ":3", ":4", ": ", "1", " ", "    ", "  ", "E", "E   ", "x" * 90, "[misc]", "  [misc]", '"'),
    *(
        "error: ",
        "note: ",
        "warning: ",
        "F401 ",
        "[*] ",
        "invalid-syntax: ",
        "unformatted: ",
        " --> ",
        "--> ",
        "|",
        "^",
    ),
    *("Found 3 errors in 2 files (checked 1)", "Found 3 errors.", "1 file would be reformatted", "Would reformat: "),
    *("  /a.py", " - error: ", "3 errors, 1 warning, 0 informations", "(reportX)", "ruff failed", "  Cause: "),
    *(
        "=",
        "===",
        " FAILURES ",
        " ERRORS ",
        " short test summary info ",
        " test session starts ",
        "____",
        " test_a[b - c] ",
    ),
    *("FAILED ", "ERROR ", "SUBFAILED", "::test_a", " - ", "1 failed in 0.1s", "--- Captured stdout call ---", "!!!"),
    *("INTERNALERROR> ", "ImportError while loading conftest 'a.py'.", "ERROR: usage: ", "ERROR: not found: "),
    *('{"file": "', '{"cell":', '"severity":', "null", "}", '{"file": "a", "severity": [], "message": {}}'),
]
LINES = st.lists(st.sampled_from(PARTS), max_size=6).map("".join) | st.text(st.characters(exclude_characters="\n"))
NAMES = [
    *("file", "filename", "severity", "message", "range", "start", "line", "character", "rule"),
    *("cell", "code", "location", "row", "column", "errorCount", "warningCount"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**40) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)


@pytest.mark.parametrize("kind", LINE_READERS)
@given(lines=st.lists(LINES, max_size=30))
def test_no_lines_stop_a_reader(kind: type[LineReader], lines: list[str]) -> None:
    reader = kind()
    found = [one for line in lines for one in reader.read(line) or ()]
    for one in (*found, *reader.end()):
        assert one.tool.startswith(kind.tool)
    assert reader.end() == ()


@pytest.mark.parametrize(("kind", "document"), DOCUMENTS)
@given(values=st.tuples(VALUES, VALUES), piece=st.integers(1, 50))
def test_no_document_stops_a_reader(
    kind: type[DocumentReader], document: str, values: tuple[object, object], piece: int
) -> None:
    text = document % tuple(json.dumps(value) for value in values)
    assert kind.recognises(text)
    reader = kind()
    for start in range(0, len(text), piece):
        reader.feed(text[start : start + piece])
    reader.end()


@pytest.mark.parametrize(("kind", "document"), DOCUMENTS)
def test_a_document_that_is_cut_off_is_told(kind: type[DocumentReader], document: str) -> None:
    reader = kind()
    reader.feed(document[:35])
    with pytest.raises(BadDocument):
        reader.end()


HEADS = [
    *(
        "a.py:1: error: ",
        "a.py: error:",
        "a.c: error: ",
        "  /a.py:1:1 - error: ",
        "  /a.py: error: ",
        "a.py:1:1: F401 ",
    ),
    *("F401 ", " --> ", "invalid-syntax: ", " 1:1 F401 ", "FAILED ", "SUBFAILED[", "FAILED a.py::t[", "ERROR: usage: "),
    *(
        "=== ",
        "__ ",
        "E   ",
        "a.py:1: ",
        '  File "',
        "3 failed, ",
        "mypy: can't read file '",
        "error: Failed to parse ",
    ),
    *("Found 1 errors (", "1 failed", "--- Captured ", "[gw0] "),
]
LENGTH = LINE_MAX // 4
TAILS = [
    "x",
    ":1",
    ":1:1",
    " ",
    ": ",
    " - ",
    "[",
    "a.py",
    "1 failed, ",
    "_ ",
    "= ",
    "- ",
    '"',
    "::",
    "  [",
    "(",
    "] - ",
]


@pytest.mark.parametrize("kind", LINE_READERS)
def test_the_longest_lines_are_read_and_their_messages_cut(kind: type[LineReader]) -> None:
    """A pattern that goes back and forth over a long line would take minutes here."""
    reader = kind()
    for section in ("=== FAILURES ===", "=== short test summary info ===") if kind is PytestReader else ("",):
        reader.read(section)
        for head in HEADS:
            for tail in TAILS:
                for one in reader.read((head + tail * LENGTH)[:LENGTH]) or ():
                    assert not isinstance(one, Diagnostic) or len(one.message) <= MESSAGE_MAX
