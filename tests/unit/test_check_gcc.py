"""gcc 12, clang 14 and 19, ld and lld, as they wrote it, and the kin of these."""

from __future__ import annotations

import pytest
from recorded_checks import brief, counted, messages, read, recorded, totals

from wavepool.model.diagnostics import Diagnostic, Total

CLANG_19 = [
    "E ./my [id].h:2:27",
    "E main.c:9:9 -Wint-conversion",
    "E main.c:10:8",
    "E main.c:11:12",
    "W main.c:7:29 -Wunused-parameter",
    "W main.c:15:20 -Wformat",
    "E main.c:16:18",
]


@pytest.mark.parametrize("name", ["clang-19.txt", "clang-msvc.txt"])
def test_clang_agrees_with_its_total(name: str) -> None:
    found = recorded(f"gcc/{name}")
    assert brief(found) == CLANG_19
    assert totals(found) == [Total(tool="gcc", errors=5, warnings=2)]


def test_excerpts_without_marks_are_no_errors() -> None:
    found = recorded("gcc/clang-14.txt")
    assert counted(found, "gcc") == (4, 3)
    assert totals(found) == [Total(tool="gcc", errors=4, warnings=3)]


def test_gcc_has_no_total() -> None:
    found = recorded("gcc/gcc.txt")
    assert brief(found)[:4] == [
        "E my [id].h:2:27",
        "W main.c:9:13 -Wint-conversion",
        "E main.c:10:6",
        "E main.c:3:25",
    ]
    assert counted(found, "gcc") == (5, 8)
    assert totals(found) == []


def test_templates_and_their_many_notes() -> None:
    assert brief(recorded("gcc/gcc-cpp.txt")) == [
        "E (group)/a b.cpp:6:10",
        "E (group)/a b.cpp:7:25",
        "E (group)/a b.cpp:10:7",
        "E (group)/a b.cpp:12:12",
        "W (group)/a b.cpp:11:9 -Wunused-variable",
        "E (group)/a b.cpp:3:47",
    ]


def test_make_with_several_compilers_and_the_assembler() -> None:
    found = recorded("gcc/make.txt")
    assert brief(found)[-4:] == [
        "E many.c:19:11",
        "E bad.s:1",
        "E warn.c:1:32 -Wparentheses",
        "E warn.c:1:20 -Wunused-variable",
    ]
    assert {"E warn.c:1:32 -Wparentheses", "E ./my [id].h:2:27", "E übung/größe.c:1:10"} <= set(brief(found))
    assert counted(found, "gcc") == (29, 2)
    assert [(total.errors, total.warnings) for total in totals(found)] == [(29, 2)]


def test_linkers_and_drivers() -> None:
    found = recorded("gcc/linkers.txt")
    assert brief(found) == [
        "W",
        "E /workspace/c/link.c:2",
        "E /workspace/c/link.c:3",
        "W",
        "W",
        "E link.c",
        "E link.c",
        "W",
        "E /workspace/c/link.c:2",
        "E /workspace/c/link.c:3",
        "E",
        "E",
        "E",
        "E",
    ]
    assert messages(found)[-4:] == [
        "cannot find -lnosuch: No such file or directory",
        "nofile.c: No such file or directory",
        "no such file or directory: 'nofile.c'",
        "no input files",
    ]
    assert {one.tool for one in found} == {"ld", "cc1", "clang"}


def test_a_linker_that_says_nothing_else_has_failed_all_the_same() -> None:
    found = read(
        "collect2: fatal error: ld terminated with signal 9 [Killed]\n"
        "clang: error: linker command failed with exit code 1\n"
    )
    assert len(found) == 2


def test_too_many_errors_are_not_one_more() -> None:
    found = read(
        "a.c:1:1: error: x\nfatal error: too many errors emitted, stopping now [-ferror-limit=]\n2 errors generated.\n"
    )
    assert brief(found) == ["E a.c:1:1"]
    assert totals(found) == [Total(tool="gcc", errors=1, warnings=0)]


def test_a_total_that_has_more_than_was_read_stays_so() -> None:
    assert totals(read("a.c:1:1: error: x\n3 errors generated.\n")) == [Total(tool="gcc", errors=3, warnings=0)]


def test_clang_tidy_counts_what_it_does_not_show() -> None:
    found = recorded("gcc/clang-tidy-19.txt")
    assert brief(found) == [
        "W /workspace/c/tidy.cpp:3:10 modernize-use-nullptr",
        "E /workspace/c/tidy.cpp:4:29 readability-container-size-empty",
        "W /workspace/c/tidy.cpp:4:50 modernize-use-nullptr",
    ]
    assert totals(found) == [Total(tool="gcc", errors=1, warnings=2)]


def test_msvc_and_its_linker() -> None:
    faults = read(
        "C:\\x y\\a.cpp(3,5): error C2065: 'foo': undeclared identifier [C:\\x y\\p.vcxproj]\n"
        "a.cpp(4): warning C4101: 'i': unreferenced local variable\n"
        "main.obj : error LNK2019: unresolved external symbol foo\n"
    )
    assert [(one.tool, *brief([one]), *messages([one])) for one in faults] == [
        ("gcc", "E C:\\x y\\a.cpp:3:5 C2065", "'foo': undeclared identifier"),
        ("gcc", "W a.cpp:4 C4101", "'i': unreferenced local variable"),
        ("link", "E LNK2019", "unresolved external symbol foo"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "make: *** [Makefile:3: all] Error 1\n",
        "In file included from a.c:1:\n",
        "a.c:3:5: note: declared here\n",
        "cc1: all warnings being treated as errors\ncompilation terminated.\n",
        "x.c:(.text+0x1): more undefined references to `f' follow\n",
    ],
)
def test_no_errors(text: str) -> None:
    assert read(text) == []


def test_errors_of_other_languages_in_the_same_form_are_left_to_others() -> None:
    found = read("a.c:1:2: error: x\nb.py:3: error: y\n")
    assert [(one.tool, one.path) for one in found if isinstance(one, Diagnostic)] == [("gcc", "a.c"), ("mypy", "b.py")]


def test_its_document_tells_what_its_text_tells() -> None:
    document, text = recorded("gcc/gcc.json"), recorded("gcc/gcc.txt")
    in_text = [one for one in brief(text) if not one.endswith("-Wunused-parameter")]
    assert brief(document) == [one.replace("3:25", "11:12") for one in in_text]  # in a macro, and where that is used
    assert counted(document, "gcc") == (5, 7)
