"""tsc, as tsc 5.9 and the native 7.0 wrote it, and the lines beside its errors that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.reading import OutputReader

RECORDED = Path(__file__).parents[1] / "transcripts" / "checks" / "tsc"


def read(data: bytes) -> list[Found]:
    reader = OutputReader()
    found = [*reader.feed(data), *reader.end()]
    assert reader.problems == []
    return found


def errors(data: bytes) -> list[Diagnostic]:
    return [found for found in read(data) if isinstance(found, Diagnostic)]


def totals(data: bytes) -> list[Total]:
    return [found for found in read(data) if isinstance(found, Total)]


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.iterdir()))
def test_ten_errors_in_each_form(name: str) -> None:
    found = errors((RECORDED / f"{name}.txt").read_bytes())
    assert {(error.path, error.line, error.column, error.code) for error in found} == {
        ("src/(group)/x.ts", 1, 10, "TS2305"),
        ("src/(group)/x.ts", 5, 6, "TS2769"),
        ("src/(group)/x.ts", 6, 7, "TS2322"),
        ("src/a b/ünï.ts", 1, 14, "TS2322"),
        ("src/a b/ünï.ts", 1, 42, "TS2322"),
        ("src/app/[id]/page.ts", 2, 20, "TS2322"),
        ("src/app/[id]/page.ts", 2, 46, "TS2322"),
        ("src/app/[id]/page.ts", 3, 7, "TS2322"),
        ("src/app/[id]/page.ts", 4, 16, "TS2304"),
        ("src/z.ts", 1, 52, "TS2322"),
    }
    assert len(found) == 10
    assert next(error.message for error in found if error.code == "TS2769") == (
        "No overload matches this call.\n"
        "  Overload 1 of 2, '(a: string): void', gave the following error.\n"
        "    Argument of type '{}' is not assignable to parameter of type 'string'.\n"
        "  Overload 2 of 2, '(a: number): void', gave the following error.\n"
        "    Argument of type '{}' is not assignable to parameter of type 'number'."
    )


@pytest.mark.parametrize(
    ("name", "files"),
    [("pretty5", 4), ("pretty7", 4), ("watch7", None), ("watch-plain5", None), ("build7", None)],
)
def test_its_own_total(name: str, files: int | None) -> None:
    assert totals((RECORDED / f"{name}.txt").read_bytes()) == [Total(tool="tsc", errors=10, files=files)]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("app/(a)/(b)/x.ts(1,2): error TS1: m", "app/(a)/(b)/x.ts"),
        ("a(1,2).ts(3,4): error TS1: m", "a(1,2).ts"),
        ("C:\\work\\my app\\[id].tsx(1,2): error TS1: m", "C:\\work\\my app\\[id].tsx"),
        ("..\\lib\\x.ts:1:2 - error TS1: m", "..\\lib\\x.ts"),
        ("C:/work/x.ts:1:2 - error TS1: m", "C:/work/x.ts"),
        ("a b/c - d.ts:1:2 - error TS1: m", "a b/c - d.ts"),
        ("a.ts:1:2 - error TS1: not '\"b.ts(3,4): error TS2: c\"'", "a.ts"),
        ("a.ts(1,2): error TS1: not '\"b.ts:3:4 - error TS2: c\"'", "a.ts"),
    ],
)
def test_odd_paths(line: str, path: str) -> None:
    assert [error.path for error in errors(line.encode())] == [path]


def test_errors_without_a_file_are_told() -> None:
    assert read(b"error TS18003: No inputs were found.\n\nFound 1 error.\n") == [
        Diagnostic(tool="tsc", message="No inputs were found.", code="TS18003"),
        Total(tool="tsc", errors=1),
    ]


def test_a_warning_is_a_warning_and_a_message_is_nothing() -> None:
    found = errors(b"a.ts(1,2): warning TS1: w\na.ts(1,2): message TS2: m\n  more of it\nmessage TS6: x\n")
    assert [(error.code, error.message, error.severity) for error in found] == [("TS1", "w", Severity.WARNING)]


def test_the_same_file_and_the_one_file() -> None:
    one = b"x.ts:1:2 - error TS1: m\n\n1 x\n  ~\n\n\n"
    assert totals(one + b"Found 1 error in x.ts:1\n\n") == [Total(tool="tsc", errors=1, files=1)]
    same = b"Found 2 errors in the same file, starting at: x.ts:1\n\n"
    assert totals(one + one + same) == [Total(tool="tsc", errors=2, files=1)]


def test_an_error_in_an_excerpt_or_in_a_message_is_none() -> None:
    shown = (
        b"x.ts:1:2 - error TS1: m\n  y.ts(1,2): error TS5: of the message\n\n7 y.ts(1,2): error TS2: of the source\n\n"
    )
    related = b"  z.ts:3:4 - error TS3: below\n    3 q\n      ~\n"
    assert [error.code for error in errors(shown + related)] == ["TS1"]


def test_indented_lines_after_a_foreign_one_are_not_of_the_message() -> None:
    found = errors(b"a.ts(1,2): error TS1: m\n  more\nnpm error code 2\n  path /x\n\na.ts(2,2): error TS2: n\n")
    assert [error.message for error in found] == ["m\n  more", "n"]


def test_what_is_indented_too_far_is_not_of_the_message() -> None:
    (found,) = errors(b"a.ts(1,2): error TS1: m\n    Checking shop v0.1.0 (/w)\n")
    assert found.message == "m"


def test_a_message_without_end_is_cut() -> None:
    (found,) = errors(b"a.ts(1,2): error TS1: m\n" + b"  more of it\n" * 10_000)
    assert 7000 < len(found.message) <= 8192
    (found,) = errors(b"a.ts(1,2): error TS1: " + b"m" * 10_000)
    assert len(found.message) == 8192


def test_a_total_of_nothing_is_not_tscs() -> None:
    assert read(b"Found 2 errors.\n") == []


def test_numbers_that_are_none_of_a_place() -> None:
    endless = "9" * 5000
    found = read(
        f"a.ts(0,{endless}): error TS1: m\nb.ts:{endless}:1 - error TS1: m\n\n\nFound {endless} errors.\n".encode()
    )
    assert [(one.path, one.line, one.column) for one in found if isinstance(one, Diagnostic)] == [
        ("a.ts", None, None),
        ("b.ts", None, 1),
    ]
    assert len(found) == 2
