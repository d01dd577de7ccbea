"""ruff, new and old, as it wrote of one project in each of its forms; and its formatter."""

from __future__ import annotations

from collections import Counter

import pytest
import recorded_checks
from recorded_checks import RECORDED, parted, read

from wavepool.model.diagnostics import Diagnostic, Total
from wavepool.plan.diagnostics.ruff import FORMAT, HELD_MAX, PARSING

BROKEN, LAYOUT, PAGE = "app/(group)/broken one.py", "app/(group)/layout.py", "app/[id]/page.py"
UMLAUT, REVEAL, ORDER = "größe/maß.py", "plain/reveal.py", "with space/order form.py"

FAULTS = [
    (BROKEN, 1, 7, "invalid-syntax"),
    (BROKEN, 1, 8, "invalid-syntax"),
    (BROKEN, 4, 8, "invalid-syntax"),
    (LAYOUT, 1, 1, "I001"),
    (LAYOUT, 9, 5, "D103"),
    (LAYOUT, 14, 89, "E501"),
    (PAGE, 3, 5, "D103"),
    (PAGE, 7, 5, "D103"),
    (PAGE, 9, 9, "T201"),
    (PAGE, 9, 15, "F821"),
    (UMLAUT, 6, 5, "D103"),
    (UMLAUT, 13, 1, "E722"),
    (REVEAL, 1, 5, "D103"),
    (REVEAL, 1, 14, "F821"),
    (REVEAL, 5, 1, "F821"),
    (REVEAL, 9, 5, "D103"),
    (REVEAL, 9, 18, "F821"),
    (ORDER, 12, 9, "T201"),
    (ORDER, 13, 9, "F841"),
    (ORDER, 14, 18, "E711"),
    (ORDER, 15, 13, "E731"),
    (ORDER, 15, 13, "F841"),
    (ORDER, 18, 5, "D103"),
]


def recorded(name: str) -> tuple[list[Diagnostic], list[Total]]:
    return parted(recorded_checks.recorded(f"ruff/{name}.txt"))


def relative(path: str | None) -> str:
    return (path or "").removeprefix("/home/dev/shop/")


@pytest.mark.parametrize("name", ["full", "full-old", "concise", "grouped", "colour", "json", "json-old", "json-lines"])
def test_each_form_tells_the_same_faults(name: str) -> None:
    diagnostics, totals = recorded(name)
    told = [(relative(one.path), one.line, one.column, one.code) for one in diagnostics]
    assert told == FAULTS
    assert {one.tool for one in diagnostics} == {"ruff"}
    assert totals == ([] if name.startswith("json") else [Total(tool="ruff", errors=23)])


def test_messages_are_the_same_in_each_form() -> None:
    full, *others = (recorded(name)[0] for name in ("full", "concise", "grouped", "json", "json-lines"))
    for other in others:
        assert [one.message for one in other] == [one.message for one in full]
    assert full[9].message == "Undefined name `undefined_name`"


@pytest.mark.parametrize("name", ["names", "names-grouped"])
def test_preview_names_rules_by_words(name: str) -> None:
    diagnostics, totals = recorded(name)
    assert totals == [Total(tool="ruff", errors=len(diagnostics))]
    assert Counter(one.code for one in diagnostics).most_common(1) == [("undocumented-public-function", 7)]
    assert ("unsorted-imports", LAYOUT) in {(one.code, one.path) for one in diagnostics}


@pytest.mark.parametrize("name", ["format", "format-old"])
def test_unformatted_files_and_one_that_cannot_be_parsed(name: str) -> None:
    diagnostics, totals = recorded(name)
    assert {(one.tool, one.path, one.code) for one in diagnostics} == {
        (PARSING, BROKEN, "invalid-syntax"),
        (FORMAT, LAYOUT, "unformatted"),
        (FORMAT, PAGE, "unformatted"),
        (FORMAT, "plain/unf.py", "unformatted"),
    }
    assert totals == [Total(tool=FORMAT, errors=3, files=3)]


def test_check_and_format_in_one_output_are_counted_apart() -> None:
    diagnostics, totals = recorded("both")
    assert Counter(one.tool for one in diagnostics) == {"ruff": 9, PARSING: 1, FORMAT: 3}
    assert totals == [Total(tool="ruff", errors=9), Total(tool=FORMAT, errors=3, files=3)]


def test_notebooks_are_read_with_their_cells() -> None:
    concise = "a b.ipynb:cell 2:1:8: F401 [*] `os` imported but unused\n"
    full = "F401 [*] `os` imported but unused\n --> a b.ipynb:cell 2:1:8\n  |\nhelp: Remove\n ::: cell 2\n  |\n"
    for text in (concise, full):
        (fault,) = read(text)
        assert isinstance(fault, Diagnostic)
        assert (fault.path, fault.line, fault.column) == ("a b.ipynb", 1, 8)
        assert fault.message == "`os` imported but unused (in cell 2)"


@pytest.mark.parametrize(
    ("line", "total"),
    [
        ("All checks passed!", Total(tool="ruff", errors=0)),
        ("Found 15 errors (6 fixed, 9 remaining).", Total(tool="ruff", errors=9)),
        ("1 file already formatted", Total(tool=FORMAT, errors=0, files=0)),
    ],
)
def test_totals(line: str, total: Total) -> None:
    assert read(line + "\n") == [total]


def test_a_total_without_faults_is_not_ruffs() -> None:
    assert read("6\tF401\t[*] unused-import\nFound 6 errors.\n") == []


def test_a_missing_file_and_a_configuration_that_is_none() -> None:
    (missing, total) = read("E902 No such file or directory (os error 2)\n--> nothere.py:1:1\n\nFound 1 error.\n")
    assert isinstance(missing, Diagnostic)
    assert (missing.path, missing.code, total) == ("nothere.py", "E902", Total(tool="ruff", errors=1))
    (failed,) = read("ruff failed\n  Cause: Failed to parse ruff.toml\n  Cause: unknown field\n")
    assert isinstance(failed, Diagnostic)
    assert (failed.path, failed.message) == (
        None,
        "ruff failed\n  Cause: Failed to parse ruff.toml\n  Cause: unknown field",
    )


def test_faults_of_syntax_do_not_wait_without_bound() -> None:
    found = read("".join(f"a.py:{line}:1: invalid-syntax: no\n" for line in range(1, 2 * HELD_MAX)))
    assert [one.line for one in found if isinstance(one, Diagnostic)] == list(range(1, 2 * HELD_MAX))


def test_what_has_the_same_shape_is_not_ruffs() -> None:
    lookalikes = (
        "main.go:3:5: undefined: x\n"
        "a.c:1:2: error: expected ';'\n"
        "a.py:1:2: error: Missing return statement  [return]\n"
        "error: aborting\n --> src/main.rs:1:2\n"
        "pages:\n  1:7  warning: text\n"
        "  |\n"
    )
    assert [one for one in read(lookalikes) if one.tool.startswith("ruff")] == []


def test_a_proposed_fix_in_several_parts_quotes_what_looks_like_a_fault() -> None:
    written = (RECORDED / "real" / "ruff-full.txt").read_text("utf-8")
    assert "-" * 40 in written
    found = read(written)
    assert Counter(type(one) for one in found) == {Diagnostic: 38, Total: 1}
    assert not [one for one in found if isinstance(one, Diagnostic) and "never" in (one.path or "")]
