"""Tools that make or ninja starts in directories below: their paths begin there."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_checks import read

from wavepool.fixing.files import WorkspaceFiles
from wavepool.fixing.reading import CheckReading
from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.making.findings import Findings

ERROR = "main.c:1:9: error: 'y' undeclared here (not in a function)\n    1 | int x = y;\n      |         ^\n"
FILES = ("main.c", "a/main.c", "a/deep/main.c", "b/main.c", "b/only.c", "build/main.c")


def enter(path: str, who: str = "make[1]", quotes: str = "''") -> str:
    return f"{who}: Entering directory {quotes[0]}{path}{quotes[1]}\n"


def leave(path: str, who: str = "make[1]", quotes: str = "''") -> str:
    return f"{who}: Leaving directory {quotes[0]}{path}{quotes[1]}\n"


def directories(text: str) -> list[tuple[str, ...]]:
    return [one.directories for one in read(text) if isinstance(one, Diagnostic)]


@pytest.mark.parametrize("quotes", ["''", "`'", '""', "‘’", "“”"])
@pytest.mark.parametrize("who", ["make", "make[1]", "gmake[2]", "/usr/bin/make[12]", "mingw32-make[1]", "make.exe[1]"])
def test_who_says_it_and_how(who: str, quotes: str) -> None:
    at = "/w/a b/it's"
    text = enter(at, who, quotes) + ERROR + leave(at, who, quotes) + ERROR
    assert directories(text) == [(at,), ()]


def test_directories_within_directories() -> None:
    text = (
        ERROR
        + enter("/w", "make")
        + enter("/w/a")
        + ERROR
        + enter("/w/a/deep", "make[2]")
        + ERROR
        + leave("/w/a/deep", "make[2]")
        + ERROR
        + leave("/w/a")
        + enter("/w/b")
        + ERROR
        + leave("/w/b")
        + leave("/w", "make")
        + ERROR
    )
    assert directories(text) == [(), ("/w/a",), ("/w/a/deep",), ("/w/a",), ("/w/b",), ()]


def test_what_was_under_way_belongs_to_the_directory_before() -> None:
    text = enter("/w/a") + ERROR.splitlines()[0] + "\n" + leave("/w/a") + enter("/w/b") + "main.c:2:1: error: no\n"
    assert directories(text) == [("/w/a",), ("/w/b",)]


def test_ninja_says_only_where_it_begins() -> None:
    assert directories(enter("build", "ninja", "`'") + ERROR) == [("build",)]
    text = enter("one", "ninja", "`'") + ERROR + enter("two", "ninja", "`'") + ERROR
    assert directories(text) == [("one",), ("two",)]
    text = enter("/w") + enter("build", "ninja", "`'") + ERROR + leave("/w") + ERROR
    assert directories(text) == [("/w/build",), ()]


def test_of_makes_side_by_side_it_is_one() -> None:
    text = enter("/w/a") + enter("/w/b") + ERROR + leave("/w/a") + ERROR + leave("/w/b") + ERROR
    assert directories(text) == [(".", "/w/a", "/w/b"), ("/w/b",), ()]


def test_documents_have_their_directory_too() -> None:
    document = '[{"filePath":"x.js","messages":[{"ruleId":"eqeqeq","severity":2,"message":"no","line":1,"column":1}]}]'
    assert directories(enter("/w/a") + document + "\n" + leave("/w/a")) == [("/w/a",)]


def test_only_such_lines_say_it() -> None:
    for line in ("cmake: Entering directory\n", "Entering directory '/w/a'\n", "x make: Entering directory '/w'\n"):
        assert directories(line + ERROR) == [()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def files(root: Path, *written: tuple[str, str]) -> list[str]:
    """The files with errors, where a check has written this to its streams."""
    reading = CheckReading(Findings(WorkspaceFiles(root, contained=True).place), None)
    for stream, text in written:
        reading.feed(stream, text.encode())
    reading.end()
    return [each.path for each in reading.findings.files]


@pytest.mark.parametrize("top", ["{root}", "/workspace"])
def test_the_file_is_the_one_in_the_directory(root: Path, top: str) -> None:
    top = top.format(root=root)
    assert files(root, ("stdout", enter(f"{top}/a") + ERROR)) == ["a/main.c"]
    assert files(root, ("stdout", enter(f"{top}/a") + ERROR + leave(f"{top}/a") + ERROR)) == ["a/main.c", "main.c"]
    assert files(root, ("stderr", enter(f"{top}/a/deep") + ERROR.replace("main.c", "../main.c"))) == ["a/main.c"]
    assert files(root, ("stdout", enter(f"{top}/a") + ERROR.replace("main.c", f"{top}/b/main.c"))) == ["b/main.c"]
    assert files(root, ("stdout", enter("build", "ninja", "`'") + ERROR.replace("main.c", "../main.c"))) == ["main.c"]


def test_a_file_that_is_not_there_is_looked_for_as_without_a_directory(root: Path) -> None:
    assert files(root, ("stdout", enter("/elsewhere/a") + ERROR.replace("main.c", "only.c"))) == ["b/only.c"]


def test_on_the_other_stream_only_what_is_certain_is_placed(root: Path) -> None:
    said = ("stdout", enter(f"{root}/a") + leave(f"{root}/a") + enter(f"{root}/b") + leave(f"{root}/b"))
    assert files(root, said, ("stderr", ERROR.replace("main.c", "only.c"))) == ["b/only.c"]
    reading = CheckReading(Findings(WorkspaceFiles(root).place), None)
    for stream, text in (said, ("stderr", ERROR)):
        reading.feed(stream, text.encode())
    reading.end()
    assert reading.findings.files == ()
    assert (reading.findings.unplaced.errors, reading.findings.unsure) == (1, "main.c")
