"""rustc, cargo and clippy, as those of Rust 1.95 wrote it."""

from __future__ import annotations

import json

import pytest
from recorded_checks import RECORDED, brief, counted, messages, read, recorded, totals

from wavepool.model.diagnostics import Diagnostic, Severity, Total

NINE = [
    "E src/(group)/[id] page.rs:3:14",
    "W src/money.rs:1:5",
    "E src/money.rs:26:1 E0046",
    "E src/money.rs:10:44 E0609",
    "E src/money.rs:17:5 E0308",
    "E src/(group)/[id] page.rs:2:22 E0308",
    "E src/(group)/[id] page.rs:7:5 E0425",
    "E src/(group)/[id] page.rs:8:28 E0308",
    "E src/money.rs:31:11 E0004",
]


@pytest.mark.parametrize("name", ["check.txt", "short.txt", "all-targets.txt"])
def test_each_form_tells_the_same_and_agrees_with_cargos_own_sum(name: str) -> None:
    found = recorded(f"rustc/{name}")
    assert brief(found) == NINE
    assert totals(found) == [Total(tool="rustc", errors=8, warnings=1)]


def test_the_lines_for_machines_tell_the_same_as_the_text_for_people() -> None:
    found = recorded("rustc/check.jsonl")
    assert [one.removesuffix(" unused_imports") for one in brief(found)] == NINE
    assert counted(found, "rustc") == (8, 1)
    text = messages(recorded("rustc/check.txt"))
    assert [message for message in messages(found) if message not in text] == [
        "unused import: `std::collections::HashMap`\nhelp: remove the whole `use` item",
        "not all trait items implemented, missing: `name`: missing `name` in implementation\n"
        "help: implement the missing item: `fn name(&self) -> String { todo!() }`",
    ]


def test_rustc_itself_for_machines_with_its_sum() -> None:
    found = recorded("rustc/rustc.jsonl")
    assert counted(found, "rustc") == (4, 1)
    assert totals(found) == [Total(tool="rustc", errors=4, warnings=1)]


def test_a_message_says_what_is_wrong_there_and_what_helps() -> None:
    found = recorded("rustc/check.txt")
    assert messages(found)[4] == (
        "mismatched types: expected `String`, found `i64`\nhelp: try using a conversion method"
    )
    assert messages(found)[0] == "2 positional arguments in format string, but there is 1 argument"


def test_clippy_and_what_was_left_out_as_it_was_told_of_the_library() -> None:
    found = recorded("rustc/clippy.txt")
    assert counted(found, "rustc") == (1, 4)
    assert totals(found) == [Total(tool="rustc", errors=1, warnings=4)]
    assert "further information" not in "".join(messages(found))


def test_the_linker_fails_without_a_file() -> None:
    found = recorded("rustc/linker.txt")
    assert brief(found) == ["E"]
    assert "undefined symbol: far_away" in messages(found)[0]
    assert totals(found) == [Total(tool="rustc", errors=1)]


def test_cargo_tells_the_causes() -> None:
    found = recorded("rustc/no-dependency.txt")
    assert brief(found) == ["E"]
    assert messages(found)[0].splitlines()[-1] == "No such file or directory (os error 2)"
    assert totals(found) == []


@pytest.mark.parametrize("name", ["test.txt", "test-backtrace.txt"])
def test_the_tests_that_fail(name: str) -> None:
    found = recorded(f"rustc/{name}")
    assert sorted(brief(found)) == ["E src/lib.rs:4:25 test", "E src/lib.rs:5:26 test", "E test"]
    assert "test tests::plain failed\nboom" in messages(found)
    assert totals(found) == [Total(tool="cargo test", errors=3)]


def test_an_example_that_fails_is_told_by_the_place_in_its_name() -> None:
    text = "failures:\n    src/a b.rs - add (line 7)\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n"
    assert brief(read(text)) == ["E src/a b.rs:7 test"]


def block(word: str, path: str) -> str:
    return f"{word}: it is wrong\n --> {path}:1:2\n  |\n1 | source\n  | ^ so\n\n"


def test_sums_of_a_target_and_its_tests_leave_room_for_what_was_told_once() -> None:
    sums = "error: could not compile `x` (lib) due to {} previous errors\n"
    sums += "error: could not compile `x` (lib test) due to {} previous errors; 1 warning emitted\n"
    three = "".join(block("error", f"src/{name}.rs") for name in "abc")
    for told, least, most, expected in [(three, 2, 2, 3), (three, 2, 3, 3), (three, 1, 1, 2), (three, 4, 5, 5)]:
        found = read(told + sums.format(least, most))
        assert (counted(found, "rustc"), totals(found)) == ((3, 0), [Total(tool="rustc", errors=expected)])


def test_sums_on_the_other_stream_are_exact() -> None:
    sums = "error: could not compile `x` (lib) due to 8 previous errors\n"
    sums += "error: could not compile `x` (lib test) due to 8 previous errors; 1 warning emitted\n"
    assert read(sums) == [Total(tool="rustc", errors=16)]


def test_what_cargo_says_of_itself_is_in_none_of_its_sums() -> None:
    found = read(
        "warning: unused manifest key: package.x\n    Checking a v0.1.0 (/workspace)\n"
        + block("warning", "src/a.rs")
        + "warning: `a` (lib) generated 1 warning\n    Finished `dev` profile in 0.1s\n"
    )
    assert messages(found) == ["unused manifest key: package.x", "it is wrong: so"]
    assert totals(found) == [Total(tool="rustc", warnings=2)]


def test_a_word_of_any_program_is_an_error_of_none() -> None:
    found = read("warning: something\nerror: it went wrong\n  and so on\nanything\n")
    assert found == [Diagnostic(tool="plain", message="it went wrong")]


@pytest.mark.parametrize(
    "line",
    [
        "error: Recipe `check` failed on line 3 with exit code 101",
        "warning: build failed, waiting for other jobs to finish...",
        "error: test failed, to rerun pass `--lib`",
        "error: 1 target failed:",
        "For more information about an error, try `rustc --explain E0004`.",
        '{"reason":"build-finished","success":false}',
        '{"reason":"compiler-message"',
    ],
)
def test_no_errors(line: str) -> None:
    assert read(line + "\n") == []


def test_a_line_for_machines_that_is_too_long_is_read_by_its_beginning() -> None:
    line = (RECORDED / "rustc" / "check.jsonl").read_text().splitlines()[2]
    message = json.loads(line)
    message["message"]["children"] = [{"message": "x" * 70_000, "level": "note"}]
    data = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    assert brief(read(data + "\n")) == ["E src/money.rs:26:1 E0046"]


def test_what_other_tools_write_in_the_same_form_is_not_called_rustc() -> None:
    found = read("error[no-any]: any is any\n --> /workspace/a b.ts:1:8\n  |\n1 | x\n  | ^\n\n")
    assert found == [
        Diagnostic(
            tool="plain", path="/workspace/a b.ts", line=1, column=8, code="no-any", message="any is any",
            severity=Severity.ERROR,
        )
    ]  # fmt: skip
