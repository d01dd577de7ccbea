"""mypy, as it wrote of one project in each of its forms, and what it says when it gives up."""

from __future__ import annotations

import pytest
import recorded_checks
from recorded_checks import parted, read

from wavepool.model.diagnostics import Diagnostic, Total

ORDER, REVEAL, PAGE = "with space/order form.py", "plain/reveal.py", "app/[id]/page.py"
LAYOUT, UMLAUT = "app/(group)/layout.py", "größe/maß.py"

FAULTS = [
    (ORDER, 7, "return-value"),
    (ORDER, 11, "override"),
    (ORDER, 12, "attr-defined"),
    (ORDER, 19, "call-arg"),
    (REVEAL, 6, "var-annotated"),
    (REVEAL, 9, "name-defined"),
    (REVEAL, 12, "operator"),
    (PAGE, 4, "return-value"),
    (PAGE, 7, "return"),
    (PAGE, 9, "name-defined"),
    (PAGE, 12, "call-arg"),
    (PAGE, 12, "arg-type"),
    (LAYOUT, 13, "call-overload"),
    (LAYOUT, 14, "assignment"),
    (UMLAUT, 3, "assignment"),
    (UMLAUT, 8, "return-value"),
    (UMLAUT, 12, "arg-type"),
]


def recorded(name: str) -> tuple[list[Diagnostic], list[Total]]:
    return parted(recorded_checks.recorded(f"mypy/{name}.txt"))


@pytest.mark.parametrize("name", ["plain", "pretty", "colour", "json", "old"])
def test_each_form_tells_the_same_faults(name: str) -> None:
    diagnostics, totals = recorded(name)
    assert [(one.path, one.line, one.code) for one in diagnostics] == FAULTS
    assert totals == ([] if name == "json" else [Total(tool="mypy", errors=17, files=5)])


def test_columns_count_from_one_in_each_form() -> None:
    pretty, as_json = recorded("pretty")[0], recorded("json")[0]
    assert [one.column for one in pretty] == [one.column for one in as_json]
    assert (pretty[0].column, recorded("plain")[0][0].column) == (9, None)


def test_wrapped_messages_are_made_whole() -> None:
    def first_line(one: Diagnostic) -> str:
        return one.message.partition("\n")[0]

    plain, pretty, as_json = (recorded(name)[0] for name in ("plain", "pretty", "json"))
    assert [first_line(one) for one in pretty] == [first_line(one) for one in plain]
    assert [first_line(one) for one in as_json] == [first_line(one) for one in plain]
    assert 'expected "list[int]"' in pretty[11].message


def test_notes_go_with_their_error_and_are_none() -> None:
    overload = recorded("plain")[0][12]
    assert overload.message == (
        'No overload variant of "pick" matches argument type "float"\n'
        "note: Possible overload variants:\n"
        "note:     def pick(value: int) -> int\n"
        "note:     def pick(value: str) -> str"
    )
    assert read('a.py:1: note: Revealed type is "int"\na.py: note: In function "f":\n') == []


def test_a_narrow_terminal_and_no_codes() -> None:
    diagnostics, totals = recorded("narrow-without-codes")
    assert len(diagnostics) == 19
    assert totals == [Total(tool="mypy", errors=19, files=5)]
    assert diagnostics[-1].message == 'Argument 1 to "f" has incompatible type "str"; expected "int"'


@pytest.mark.parametrize(
    ("line", "path", "code"),
    [
        ("nothere.py: error: Cannot read file: No such file or directory", "nothere.py", None),
        ("mypy: can't read file 'nothere.py': No such file or directory", "nothere.py", None),
        ('mypy: error: Cannot find module "nomodule"', None, None),
        ("mypy: error: unrecognized arguments: --wrong", None, None),
        ("There are no .py[i] files in directory 'empty'", None, None),
        ("mypy.ini:2: error: Error importing plugin \"no.plugin\": No module named 'no'  [misc]", "mypy.ini", "misc"),
        ('dup/b/m.py: error: Duplicate module named "m" (also at "dup/a/m.py")', "dup/b/m.py", None),
        ("bin/tool:3: error: Missing return statement  [return]", "bin/tool", "return"),
        ("C:\\shop\\a.py:3:4: error: Missing return statement  [return]", "C:\\shop\\a.py", "return"),
    ],
)
def test_what_makes_it_give_up(line: str, path: str | None, code: str | None) -> None:
    (fault,) = read(line + "\n")
    assert isinstance(fault, Diagnostic)
    assert (fault.tool, fault.path, fault.code) == ("mypy", path, code)


def test_totals() -> None:
    blocked = "a.py:1: error: Invalid syntax  [syntax]\nFound 1 error in 1 file (errors prevented further checking)\n"
    assert read(blocked)[1] == Total(tool="mypy", errors=1)
    assert read("Success: no issues found in 3 source files\n") == [Total(tool="mypy", errors=0, files=0)]


def test_what_is_no_message_of_mypys() -> None:
    noise = "make: *** [Makefile:3: lint] Error 1\nsetup: error: no\n  File 'a.py', line 3\n{\"file\": 3}\n"
    assert read(noise) == []
    (fault,) = read(f"a.py:1: error: Short  [misc]\n{noise}")
    assert isinstance(fault, Diagnostic)
    assert fault.message == "Short"


def test_a_path_that_cannot_be_read() -> None:
    found = read("nowhere: error: Cannot read file: No such file or directory\n")
    assert [(one.tool, one.path, one.line) for one in found if isinstance(one, Diagnostic)] == [
        ("mypy", "nowhere", None)
    ]
