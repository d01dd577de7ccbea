"""eslint, as eslint 10 wrote it for people and for machines, and the older formats for one line each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.reading import OutputReader

RECORDED = Path(__file__).parents[1] / "transcripts" / "checks" / "eslint"
PARSING, APP, UMLAUT = "/home/dev/shop/(g) x/b.js", "/home/dev/shop/[id]/a.js", "/home/dev/shop/ünï.js"


def read(data: bytes) -> list[Found]:
    reader = OutputReader()
    found = [*reader.feed(data), *reader.end()]
    assert reader.problems == []
    return found


def diagnostics(data: bytes) -> list[Diagnostic]:
    return [found for found in read(data) if isinstance(found, Diagnostic)]


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.iterdir()))
def test_fifteen_problems_in_each_form(name: str) -> None:
    *found, total = read((RECORDED / f"{name}.txt").read_bytes())
    told = [(one.path, one.line, one.column, one.code, one.severity) for one in found if isinstance(one, Diagnostic)]
    assert told == [
        (PARSING, 1, 10, None, Severity.ERROR),
        (APP, 1, 5, "no-unused-vars", Severity.ERROR),
        (APP, 1, 5, "prefer-const", Severity.ERROR),
        (APP, 1, 12, "no-console", Severity.WARNING),
        (APP, 1, 12, "no-undef", Severity.ERROR),
        (APP, 1, 24, "no-undef", Severity.ERROR),
        (APP, 1, 28, "no-restricted-syntax", Severity.ERROR),
        (APP, 1, 38, "no-restricted-syntax", Severity.ERROR),
        (APP, 1, 46, "semi", Severity.ERROR),
        (UMLAUT, 1, 1, None, Severity.ERROR),
        (UMLAUT, 2, 12, "semi", Severity.ERROR),
        (UMLAUT, 3, 7, "eqeqeq", Severity.ERROR),
        (UMLAUT, 3, 15, "no-console", Severity.WARNING),
        (UMLAUT, 3, 15, "no-undef", Severity.ERROR),
        (UMLAUT, 3, 31, "semi", Severity.ERROR),
    ]
    files = 3 if name.startswith("json") else None
    assert total == Total(tool="eslint", errors=13, warnings=2, files=files)


@pytest.mark.parametrize(("name", "end"), [("stylish", ""), ("json", ".")])
def test_a_message_of_two_lines(name: str, end: str) -> None:
    found = diagnostics((RECORDED / f"{name}.txt").read_bytes())
    assert [one.message for one in found if one.code == "no-restricted-syntax"] == [
        f"No debugger.\nReally  not{end}"
    ] * 2


@pytest.mark.parametrize(
    ("line", "message", "code"),
    [
        ("  1:7  error  No any.  None  @typescript-eslint/no-any", "No any.  None", "@typescript-eslint/no-any"),
        ("  1:7  error  Parsing error: Unexpected  token", "Parsing error: Unexpected  token", None),
        ("   10:7   error    Missing semicolon     semi", "Missing semicolon", "semi"),
        ("  1:7  error  One line", "One line", None),
    ],
)
def test_columns(line: str, message: str, code: str | None) -> None:
    (found,) = diagnostics(f"\n/a/x.ts\n{line}\n\n".encode())
    assert (found.message, found.code, found.path) == (message, code, "/a/x.ts")


def test_paths_of_windows_and_of_standard_input() -> None:
    problems = b"  1:2  error  m  semi\n\n"
    found = diagnostics(
        b"C:\\work\\my app\\[id].js\n" + problems + b"<text>\n" + problems + b"\\\\host\\x.js\n" + problems
    )
    assert [one.path for one in found] == ["C:\\work\\my app\\[id].js", None, "\\\\host\\x.js"]


def test_a_place_of_nought_is_none() -> None:
    (found,) = diagnostics(b"/a/x.js\n  0:0  warning  File ignored because of a matching ignore pattern\n\n")
    assert (found.line, found.column, found.severity) == (None, None, Severity.WARNING)


def test_the_formats_for_one_line_each() -> None:
    unix = b"/a/x.js:1:2: 'y' is not defined. [Error/no-undef]\n/a/x.js:3:4: Parsing error: z [Error]\n\n2 problems\n"
    compact = b"/a/x.js: line 1, col 2, Error - 'y' is not (really) defined. (no-undef)\n\n1 problem\n"
    assert [(one.line, one.column, one.code) for one in diagnostics(unix)] == [(1, 2, "no-undef"), (3, 4, None)]
    assert [(one.message, one.code) for one in diagnostics(compact)] == [("'y' is not (really) defined.", "no-undef")]


def test_what_is_no_message_in_a_document_is_passed_over() -> None:
    odd = [
        {
            "filePath": "/a/x.js",
            "messages": [None, 1, {"severity": "2"}, {"severity": 2}, {"severity": 7, "message": "m"}],
        },
        {"filePath": 3, "messages": [{"severity": 2, "message": "m", "line": "1", "column": 0, "ruleId": 5}]},
        {"filePath": "/a\u0007/y.js", "messages": {"item": 1}, "errorCount": "x"},
        {"filePath": "<text>", "messages": [{"severity": 1, "fatal": True, "message": "m"}], "errorCount": 1},
    ]
    assert read(json.dumps(odd).encode()) == [
        Diagnostic(tool="eslint", message="m"),
        Diagnostic(tool="eslint", message="m"),
        Total(tool="eslint", errors=1, warnings=0, files=1),
    ]


def test_a_document_without_problems_is_a_total_of_none() -> None:
    document = b'[{"filePath":"/a/x.js","messages":[],"errorCount":0,"warningCount":0}]'
    assert read(document) == [Total(tool="eslint", errors=0, warnings=0, files=0)]
