"""pytest, as it wrote of one set of tests in many forms, of which no form may change what failed."""

from __future__ import annotations

from collections import Counter

import pytest
import recorded_checks
from recorded_checks import RECORDED, parted, read

from wavepool.model.diagnostics import Diagnostic, Total
from wavepool.plan.diagnostics.pytest_failures import HELD_MAX

PRICES, UNIT = "tests/[id]/test_prices.py", "tests/größe/test_unit.py"
SYNTAX, IMPORT = "tests/(group)/test_syntax.py", "tests/with space/test_import.py"

FAILED = [
    (PRICES, "test_sum", 12, "AssertionError"),
    (PRICES, "test_names[a - b]", 16, "AssertionError"),
    (PRICES, "test_names[x::y]", 16, "AssertionError"),
    (PRICES, r"test_names[gr\xf6\xdfe]", 16, "AssertionError"),
    (PRICES, r"test_names[new\nline]", 16, "AssertionError"),
    (PRICES, "test_names[[brackets]]", 16, "AssertionError"),
    (PRICES, "test_names[a] - b]", 16, "AssertionError"),
    (PRICES, "test_names[]", 16, "AssertionError"),
    (PRICES, "test_helper", 19, "KeyError"),
    (PRICES, "test_leak", 25, "AssertionError"),
    (PRICES, "TestGroup::TestInner::test_deep", 36, "ValueError"),
    (PRICES, "test_xpass", None, None),
    (UNIT, "Case::test_equal", 8, "AssertionError"),
    (UNIT, "Case::test_sub(i=0)", 13, "AssertionError"),
    (UNIT, "Case::test_sub(i=2)", 13, "AssertionError"),
    (UNIT, "test_group", 19, "ExceptionGroup"),
]
ERRORS = [
    (SYNTAX, "", 1, "SyntaxError"),
    (IMPORT, "", 1, "ModuleNotFoundError"),
    (PRICES, "test_setup, at setup", None, "RuntimeError"),
    (PRICES, "test_leak, at teardown", None, "ValueError"),
    (PRICES, "test_nofixture, at setup", 27, None),
    (UNIT, "Case::test_sub, at teardown", 16, "OSError"),
]


def recorded(name: str) -> tuple[list[Diagnostic], list[Total]]:
    return parted(recorded_checks.recorded(f"pytest/{name}.txt"))


def files(diagnostics: list[Diagnostic]) -> Counter[str | None]:
    return Counter(one.path for one in diagnostics)


@pytest.mark.parametrize("name", ["plain", "colour"])
def test_each_failure_with_its_file_line_and_exception(name: str) -> None:
    diagnostics, totals = recorded(name)
    assert totals == [Total(tool="pytest", errors=22)]
    first = ERRORS if name == "colour" else FAILED  # with -rA, the errors come first
    expected = sorted([*FAILED, *ERRORS], key=lambda fault: fault not in first)
    for one, (path, test, line, code) in zip(diagnostics, expected, strict=True):
        assert (one.path, one.line, one.code) == (path, line, code)
        assert one.message.startswith(f"{test}: " if test else ("File ", "ModuleNotFoundError: "))


@pytest.mark.parametrize("name", ["quiet-line", "short-parallel", "untruncated"])
def test_other_forms_tell_the_same_files(name: str) -> None:
    diagnostics, totals = recorded(name)
    assert files(diagnostics) == Counter(path for path, *_ in (*FAILED, *ERRORS))
    assert totals == [Total(tool="pytest", errors=22)]


def test_an_older_one_without_subtests() -> None:
    diagnostics, totals = recorded("old")
    assert (len(diagnostics), totals) == (21, [Total(tool="pytest", errors=21)])
    assert [one.line for one in diagnostics if one.message.startswith("test_names")] == [16] * 7


def test_what_pytest_marks_is_the_message() -> None:
    diagnostics, _ = recorded("plain")
    assert diagnostics[0].message == (
        "test_sum: AssertionError: the prices differ\n"
        "assert [1, 2, 3] == [1, 2, 4]\n\n  At index 2 diff: 3 != 4\n  Use -v to get more diff"
    )
    assert diagnostics[10].message == "TestGroup::TestInner::test_deep: ValueError: wrapped\nin two lines"
    assert diagnostics[11].message == "test_xpass: [XPASS(strict)] should fail"


def test_what_tests_have_printed_is_nobodys_diagnostic() -> None:
    text = (RECORDED / "pytest" / "plain.txt").read_text("utf-8")
    assert "\ntests/fake.py:3: error: not a fault  [misc]\n=== 7 failed in 0.1s ===\n" in text
    assert "\nFAILED tests/fake.py::test_nothing - no\n" in text
    assert {one.tool for one in read(text)} == {"pytest"}
    assert "tests/fake.py" not in files(recorded("plain")[0])


def test_messages_over_several_lines_where_nothing_is_truncated() -> None:
    diagnostics, _ = recorded("untruncated")
    assert diagnostics[10].message == "TestGroup::TestInner::test_deep: ValueError: wrapped\nin two lines"


def test_no_summary() -> None:
    diagnostics, totals = recorded("native-no-summary")
    assert totals == [Total(tool="pytest", errors=len(diagnostics))]
    own = {one.message.partition(":")[0]: (one.path, one.line) for one in diagnostics if one.path}
    assert own["Case.test_equal"] == ("/home/dev/shop/" + UNIT, 8)


def test_a_worker_that_crashed_and_one_that_did_not() -> None:
    diagnostics, totals = recorded("crash")
    assert [(one.path, one.line) for one in diagnostics] == [("crash/test_crash.py", None), ("crash/test_crash.py", 5)]
    assert "crashed while running" in diagnostics[0].message
    assert totals == [Total(tool="pytest", errors=2)]


def test_doctests_and_subtests() -> None:
    assert [(one.path, one.line) for one in recorded("doctest")[0]] == [("doc/mod.py", 3), ("doc/test_text.txt", 2)]
    diagnostics, totals = recorded("subtests")
    assert [one.message.partition(": ")[0] for one in diagnostics] == [
        "test_a[sub - 0] (i=0)",
        "test_a[sub - 2] (i=2)",
        "test_a",
        "test_b",
    ]
    assert totals == [Total(tool="pytest", errors=4)]


def test_a_conftest_that_cannot_be_imported() -> None:
    (fault,) = recorded("conftest")[0]
    assert (fault.path, fault.line, fault.code) == ("/home/dev/shop/conf/conftest.py", 1, "ModuleNotFoundError")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ERROR: file or directory not found: nothere.py\n\n", "file or directory not found: nothere.py"),
        (
            "ERROR: not found: /w/a.py::test_nope\n(no match in any of [<Module a.py>])\n",
            "not found: /w/a.py::test_nope",
        ),
        (
            "ERROR: usage: pytest [options]\n__main__.py: error: unrecognized: --x\n",
            "__main__.py: error: unrecognized: --x",
        ),
        ("INTERNALERROR> Traceback\nINTERNALERROR> ValueError: odd\n", "an error in pytest itself: ValueError: odd"),
    ],
)
def test_why_it_did_not_run(text: str, message: str) -> None:
    (fault,) = read(text)
    assert isinstance(fault, Diagnostic)
    assert (fault.path, fault.message) == (None, message)


def section(name: str) -> str:
    return f" {name} ".center(60, "=") + "\n"


def failure(name: str, line: int, more: str = "") -> str:
    return f"{f' {name} '.center(60, '_')}\n    code\nE   assert {line}\n\na.py:{line}: AssertionError\n{more}"


def test_a_run_that_a_test_has_printed_is_passed_over() -> None:
    inner = section("test session starts") + section("FAILURES") + failure("test_inner", 1)
    inner += section("short test summary info") + "FAILED b.py::test_inner - assert 1\n" + section("1 failed in 0.01s")
    outer = section("FAILURES") + failure("test_outer", 7, "--- Captured stdout call ---\n" + inner)
    outer += failure("test_next", 8) + section("short test summary info")
    outer += "FAILED a.py::test_outer - assert 7\nFAILED a.py::test_next - assert 8\n" + section("2 failed in 0.10s")
    *found, total = read(outer)
    assert [(one.path, one.line) for one in found if isinstance(one, Diagnostic)] == [("a.py", 7), ("a.py", 8)]
    assert total == Total(tool="pytest", errors=2)


def test_more_failures_than_are_held_are_told_once_each() -> None:
    lines = range(1, HELD_MAX + 50)
    text = section("FAILURES") + "".join(failure(f"test_{line}", line) for line in lines)
    text += section("short test summary info") + "".join(
        f"FAILED a.py::test_{line} - assert {line}\n" for line in lines
    )
    *found, total = read(text + section(f"{len(lines)} failed in 9.99s"))
    assert [one.line for one in found if isinstance(one, Diagnostic)] == list(lines)
    assert total == Total(tool="pytest", errors=len(lines))


def test_what_comes_after_the_total_is_read_by_others() -> None:
    mixed = section("FAILURES") + failure("test_a", 3) + section("1 failed in 0.10s") + "b.py:1:8: F401 `os` unused\n"
    assert [one.tool for one in read(mixed)] == ["pytest", "pytest", "ruff"]


def test_a_run_without_failures() -> None:
    assert read("...\n3 passed in 0.01s\n") == [Total(tool="pytest", errors=0)]
    assert read(section("test session starts") + section("no tests ran in 0.01s")) == []
