"""pyright, as it wrote of one project for people and for machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.reading import OutputReader

RECORDED = Path(__file__).parents[1] / "transcripts" / "checks" / "pyright"
SHOP = "/home/dev/shop/"

FAULTS = [
    ("app/(group)/layout.py", 13, 1, "reportCallIssue"),
    ("app/(group)/layout.py", 13, 6, "reportArgumentType"),
    ("app/(group)/layout.py", 14, 14, "reportAssignmentType"),
    ("app/[id]/page.py", 4, 12, "reportReturnType"),
    ("app/[id]/page.py", 7, 32, "reportReturnType"),
    ("app/[id]/page.py", 9, 15, "reportUndefinedVariable"),
    ("app/[id]/page.py", 12, 16, "reportCallIssue"),
    ("größe/maß.py", 3, 14, "reportAssignmentType"),
    ("größe/maß.py", 8, 12, "reportReturnType"),
    ("größe/maß.py", 12, 7, "reportArgumentType"),
    ("plain/reveal.py", 9, 18, "reportUndefinedVariable"),
    ("plain/reveal.py", 12, 1, "reportOperatorIssue"),
    ("plain/reveal.py", 12, 1, "reportUnusedExpression"),
    ("with space/order form.py", 7, 16, "reportReturnType"),
    ("with space/order form.py", 11, 9, "reportIncompatibleMethodOverride"),
    ("with space/order form.py", 12, 20, "reportAttributeAccessIssue"),
    ("with space/order form.py", 21, 9, "reportCallIssue"),
]


def read(text: str) -> list[Found]:
    reader = OutputReader()
    found = [*reader.feed(text.encode()), *reader.end()]
    assert reader.problems == []
    return found


def recorded(name: str) -> list[Found]:
    return read((RECORDED / f"{name}.txt").read_text("utf-8"))


@pytest.mark.parametrize("name", ["plain", "colour", "json"])
def test_each_form_tells_the_same_faults_and_total(name: str) -> None:
    *found, total = recorded(name)
    diagnostics = [one for one in found if isinstance(one, Diagnostic)]
    assert [(one.path, one.line, one.column, one.code) for one in diagnostics] == [
        (SHOP + path, *place) for path, *place in FAULTS
    ]
    warned = [one.code for one in diagnostics if one.severity is Severity.WARNING]
    assert warned == ["reportUnusedExpression"]
    assert total == Total(tool="pyright", errors=16, warnings=1)


def test_messages_of_several_lines_are_the_same_in_each_form() -> None:
    plain, as_json = recorded("plain"), recorded("json")
    assert plain == as_json
    assert isinstance(plain[14], Diagnostic)
    assert plain[14].message == (
        'Method "send" overrides class "Order" in an incompatible manner\n'
        '  Parameter 2 type mismatch: base parameter is type "str", override parameter is type "int"\n'
        '    "str" is not assignable to "int"'
    )


def test_information_is_no_fault() -> None:
    told = '/w/a.py\n  /w/a.py:1:26 - information: Type of "3" is "int"\n    and more\n'
    assert read(told + "0 errors, 0 warnings, 1 information\n") == [Total(tool="pyright", errors=0, warnings=0)]


def test_a_fault_without_a_place_and_one_without_a_file() -> None:
    in_file, nowhere = read('  /w/a.py: error: Import cycles\nFile or directory "file:///w/b.py" does not exist\n')
    assert isinstance(in_file, Diagnostic)
    assert isinstance(nowhere, Diagnostic)
    assert (in_file.path, in_file.line, in_file.message) == ("/w/a.py", None, "Import cycles")
    assert nowhere.path is None


def test_a_document_that_is_not_as_pyright_writes_it_breaks_nothing() -> None:
    odd = (
        '{"message": 3, "severity": "error", "range": [], "file": {}}, 7, {"severity": []}, {"severity": "information"}'
    )
    (fault,) = read(f'{{"version": "1", "time": "2", "generalDiagnostics": [{odd}], "summary": 3, "more": [[[]]]}}')[:1]
    assert isinstance(fault, Diagnostic)
    assert (fault.path, fault.line, fault.message) == (None, None, "")
