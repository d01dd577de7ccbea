"""go 1.19, as it wrote it."""

from __future__ import annotations

import json

import pytest
from recorded_checks import RECORDED, brief, messages, read, recorded

from wavepool.model.diagnostics import Diagnostic


def test_build_tells_errors_with_and_without_a_file() -> None:
    found = recorded("go/build.txt")
    assert brief(found) == [
        *[f"E many/m.go:{line}:{column}" for line, column in zip(range(2, 12), [10] * 9 + [11], strict=True)],
        "E ./main.go:5:2",
        "E ./main.go:10:9",
        "E ./main.go:14:2",
        "E ./main.go:15:14",
        "E ./main.go:15:30",
        "E ./main.go:15:36",
        "E ./main.go:16:23",
        "E missing/m.go:3:2",
        "E missing/m.go:4:2",
        "E",
        "E",
        "E",
        "E",
        "E",
    ]
    assert messages(found)[15] == "not enough arguments in call to total\nhave (number)\nwant (int, string)"
    assert messages(found)[19].splitlines()[-1] == "imports example.com/shop/cyc/a: import cycle not allowed"


def test_vet_tells_what_its_document_has() -> None:
    document = (RECORDED / "go" / "vet.json").read_text()
    checks = json.loads(document.partition("\n")[2])["example.com/shop/print"].values()
    assert brief(recorded("go/vet.txt")) == ["E badsyn/b.go:2:9", *_told(checks), "E many/m.go:2:10"]


def _told(checks: list[list[dict[str, str]]]) -> list[str]:
    places = [one["posn"].removeprefix("/workspace/go/") for faults in checks for one in faults]
    return [f"E {place}" for place in sorted(places, key=lambda place: int(place.split(":")[1]))]


@pytest.mark.parametrize("name", ["test.txt", "test.jsonl"])
def test_the_tests_that_fail(name: str) -> None:
    found = recorded(f"go/{name}")
    placed = [f"E example.com/shop/tests/t_test.go:{line} test" for line in (3, 4)]
    assert brief(found) == [*placed, "E test"], "where it panicked is not read"
    assert [message.split()[0] for message in messages(found)] == ["TestAdd", "TestAdd/sub_case", "TestPanic"]
    assert name == "test.jsonl" or messages(found)[0] == "TestAdd failed\nt_test.go:3: got -1,\nwant 3"


def test_a_test_is_in_the_package_that_is_told_after_it() -> None:
    one = "--- FAIL: TestX (0.00s)\n    x_test.go:3: no\nFAIL\n"
    other = "--- FAIL: TestX (0.00s)\n    --- FAIL: TestX/sub (0.00s)\n        x_test.go:9: no\nFAIL\n"
    text = f"{one}FAIL\tx.org/m/one\t0.01s\nok  \tx.org/m/fine\t0.01s\n{other}FAIL\tx.org/m/two\t0.01s\nFAIL\n"
    assert brief(read(text)) == [f"E x.org/m/{place} test" for place in ("one/x_test.go:3", *["two/x_test.go:9"] * 2)]
    assert brief(read(one)) == ["E test"], "its package was never told"


def test_under_v_a_test_logs_before_it_fails() -> None:
    text = (
        "=== RUN   TestX\n    x_test.go:3: no\n--- FAIL: TestX (0.00s)\n=== RUN   TestY\n=== RUN   TestY/sub\n"
        "    y_test.go:4: multi\n        line\n--- FAIL: TestY (0.00s)\n    --- FAIL: TestY/sub (0.00s)\nFAIL\n"
    )
    found = brief(read(f"{text}FAIL\tx.org/m\t0.01s\nFAIL\n"))
    assert found == ["E x.org/m/x_test.go:3 test", *["E x.org/m/y_test.go:4 test"] * 2]


def test_more_failed_tests_than_are_held_are_told_too() -> None:
    text = "".join(f"--- FAIL: Test{number} (0.00s)\n    x_test.go:3: no\n" for number in range(1200))
    found = brief(read(f"{text}FAIL\tx.org/m\t0.01s\n"))
    assert (len(found), found.count("E x.org/m/x_test.go:3 test"), found.count("E test")) == (1200, 1000, 200)


def test_errors_in_the_events_of_a_build() -> None:
    event = {"ImportPath": "example.com/x", "Action": "build-output", "Output": "./a b.go:3:5: undefined: y\n"}
    assert brief(read(json.dumps(event, separators=(",", ":")) + "\n")) == ["E ./a b.go:3:5"]


def test_modules_and_checks() -> None:
    found = read(
        "go: errors parsing go.mod:\n/workspace/go.mod:4: unknown directive: requir\nmain.go:3:1: x is odd (SA4006)\n"
    )
    assert found == [
        Diagnostic(tool="go", path="/workspace/go.mod", line=4, message="unknown directive: requir"),
        Diagnostic(tool="go", path="main.go", line=3, column=1, code="SA4006", message="x is odd"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "# example.com/shop",
        "./x.go:12:9: too many errors",
        "too many errors",
        "go: downloading example.com/x v1.2.3",
        "FAIL\texample.com/shop [build failed]",
        "ok  \texample.com/shop\t0.1s",
        "\t/workspace/tests/t_test.go:5 +0x2e",
        "goroutine 20 [running]:",
        '{"Time":"2026-11-27T11:41:24Z","Action":"run","Package":"x"}',
    ],
)
def test_no_errors(line: str) -> None:
    assert read(line + "\n") == []
