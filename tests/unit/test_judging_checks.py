"""What the end of a check means."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.errors import CheckError, InputError
from wavepool.fixing.checks import Check, Ended, argv_of
from wavepool.fixing.judging import judge
from wavepool.fixing.reading import CheckReading, last_words
from wavepool.model.diagnostics import Diagnostic, Severity, Total
from wavepool.plan.making.findings import Findings, Place, Placed

ERROR = Diagnostic(tool="tsc", path="a.ts", line=1, message="wrong")
WARNING = Diagnostic(tool="tsc", path="a.ts", line=2, message="odd", severity=Severity.WARNING)
CONTENT, COMPLAINT = Total(tool="tsc", errors=0), Total(tool="tsc", errors=2)


def ended(exit_code: int | None, *, output_bytes: int = 10, last_words: str = "  the end") -> Ended:
    return Ended(
        exit_code=exit_code, took_s=1.0, output_bytes=output_bytes, last_words=last_words, where="standard input"
    )


def judged(
    exit_code: int | None, *found: Diagnostic | Total, shell: bool = False, warnings: bool = False, size: int = 10
) -> tuple[bool, tuple[str, ...]]:
    reading = CheckReading(Findings(lambda path: Placed(place=Place.INSIDE, path=path), warnings=warnings), None)
    reading.take(found)
    check = Check(argv=("tsc",), shown="tsc", shell=shell, workspace=Path("/w"))
    told = judge(check, ended(exit_code, output_bytes=size), reading, warnings=warnings)
    return told.passed, told.notices


@pytest.mark.parametrize("exit_code", [1, 2, 101, 255, None])
def test_errors_that_were_read_are_planned_unless_the_check_passed(exit_code: int | None) -> None:
    assert judged(exit_code, ERROR) == (False, ())


def test_a_check_that_passes_needs_no_plan() -> None:
    assert judged(0) == (True, ())
    assert judged(0, WARNING) == (True, ())


def test_one_that_passes_although_errors_were_read_has_passed_and_that_is_told() -> None:
    passed, notices = judged(0, ERROR)
    assert passed
    assert "exits with 0" in notices[0]
    assert "--warnings" in notices[0]
    assert judged(0, COMPLAINT)[1], "a total of errors counts too"


def test_with_warnings_whatever_was_read_is_planned() -> None:
    assert judged(0, WARNING, warnings=True) == (False, ())
    assert judged(0, ERROR, warnings=True) == (False, ())
    assert judged(1, WARNING, warnings=True) == (False, ())
    assert judged(0, warnings=True) == (True, ())


@pytest.mark.parametrize("found", [(), (CONTENT,), (COMPLAINT,)])
def test_a_failure_without_an_error_that_was_read_is_never_an_empty_success(found: tuple[Total, ...]) -> None:
    with pytest.raises(CheckError, match=r"failed with exit code 1(?s:.)*the end") as caught:
        judged(1, *found)
    assert caught.value.exit_code == 3


def test_a_failure_with_warnings_alone_says_how_to_plan_them() -> None:
    with pytest.raises(CheckError, match="--warnings"):
        judged(1, WARNING)


@pytest.mark.parametrize(("exit_code", "name"), [(-9, "SIGKILL"), (-11, "SIGSEGV"), (134, "SIGABRT"), (143, "SIGTERM")])
def test_what_a_killed_check_has_told_proves_nothing(exit_code: int, name: str) -> None:
    with pytest.raises(CheckError, match=name):
        judged(exit_code, ERROR)


@pytest.mark.parametrize("exit_code", [126, 127])
def test_a_command_that_the_shell_does_not_find_is_bad_input(exit_code: int) -> None:
    with pytest.raises(InputError, match=r"no such command|may not execute"):
        judged(exit_code, shell=True)
    assert judged(exit_code, ERROR, shell=True) == (False, ()), "errors were read: something has run"
    with pytest.raises(CheckError, match="failed with exit code"):
        judged(exit_code)


def test_a_text_without_an_exit_code_is_content_only_where_a_tool_says_so() -> None:
    assert judged(None, CONTENT) == (True, ())
    for found, words in (((), "no error could be read"), ((COMPLAINT,), "a tool says"), ((CONTENT, COMPLAINT), "says")):
        with pytest.raises(CheckError, match=words):
            judged(None, *found)
    with pytest.raises(CheckError, match="standard input is empty"):
        judged(None, size=0)


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("npx tsc --noEmit", ("npx", "tsc", "--noEmit")),
        ("grep '|' x", ("grep", "|", "x")),
        ("eslint 'src/(g)/[id].ts' a\\ b", ("eslint", "src/(g)/[id].ts", "a b")),
        ("tsc # all", ("tsc", "#", "all")),
    ],
)
def test_a_command_is_split_into_words_as_a_shell_would(command: str, argv: tuple[str, ...]) -> None:
    assert argv_of(command, shell=False) == argv


@pytest.mark.parametrize("command", ["", "  ", "it's", "a\0b", "tsc | tee log", "make 2>&1", "a && b", "a; b", "a>b"])
def test_a_command_that_only_a_shell_would_understand_is_refused(command: str) -> None:
    with pytest.raises(InputError, match="--command"):
        argv_of(command, shell=False)


def test_a_shell_gets_the_command_as_it_is() -> None:
    assert argv_of("a | b 'c", shell=True)[-1] == "a | b 'c"
    with pytest.raises(InputError):
        argv_of("  ", shell=True)


def test_that_documents_were_left_unread_is_told_to_whoever_plans() -> None:
    reading = CheckReading(Findings(lambda path: Placed(place=Place.INSIDE, path=path)), None)
    reading.feed("stdout", b'[{"filePath":}\n' * 1000)
    reading.feed("stderr", b'[{"filePath":}\n' * 1000)
    reading.end()
    told = [problem for problem in reading.problems if "further ones are read as lines" in problem]
    assert [problem.partition(":")[0] for problem in told] == ["stdout", "stderr"]
    assert len(reading.problems) <= 20


def test_last_words_are_the_end_without_colours_and_bounded() -> None:
    shown = last_words(b"\x1b[31mred\x1b[0m\n\n", "".join(f"{n}\n" for n in range(100)).encode() + b"x" * 5000)
    lines = shown.splitlines()
    assert len(lines) == 15
    assert max(map(len, lines)) < 310
    assert last_words(b"\x1b[31mred\x1b[0m\r\n", "blau\n".encode("utf-16")) == "  red\n  blau"
    assert last_words(b"", b" \n") == ""
