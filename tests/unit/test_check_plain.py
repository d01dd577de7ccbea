"""`file:line:column: message` of many tools, and all that only looks like it."""

from __future__ import annotations

import pytest
from recorded_checks import read

from wavepool.model.diagnostics import Diagnostic, Severity


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("src/a.py:3:5: E501 line too long", ("src/a.py", 3, 5, "E501", "line too long")),
        ("a.py:1:0: C0114: No docstring (no-doc)", ("a.py", 1, None, "C0114", "No docstring (no-doc)")),
        ("my dir/[id]/(g) x.css:7:2: Odd unit (unit-no)", ("my dir/[id]/(g) x.css", 7, 2, "unit-no", "Odd unit")),
        ("übung/größe.proto:3:1: Expected token.", ("übung/größe.proto", 3, 1, None, "Expected token.")),
        ("C:\\x y\\a.sql:3: no table", ("C:\\x y\\a.sql", 3, None, None, "no table")),
        ("Makefile:4: *** missing separator.  Stop.", ("Makefile", 4, None, None, "missing separator.  Stop.")),
        ("a.sh: line 3: syntax error near token", ("a.sh", 3, None, None, "syntax error near token")),
        ("./a b.sh: 3: Syntax error: end of file", ("./a b.sh", 3, None, None, "Syntax error: end of file")),
        ("a.md:3:5 - Unknown word (foo)", ("a.md", 3, 5, "foo", "Unknown word")),
        ("Dockerfile:3 DL3008 warning: Pin versions", ("Dockerfile", 3, None, "DL3008", "Pin versions")),
        ("a.yml:1:1: [error] syntax error (syntax)", ("a.yml", 1, 1, "syntax", "syntax error")),
        ("/w/a.js:1:5: 'x' is unused. [Error/no-unused-vars]", ("/w/a.js", 1, 5, "no-unused-vars", "'x' is unused.")),
        ("a.hs:3:5: error: Not in scope", ("a.hs", 3, 5, None, "Not in scope")),
    ],
)  # fmt: skip
def test_errors(line: str, told: tuple[str, int, int | None, str | None, str]) -> None:
    (found,) = read(f"{line}\n")
    assert isinstance(found, Diagnostic)
    assert (found.path, found.line, found.column, found.code, found.message) == told


@pytest.mark.parametrize(
    "line",
    [
        "a.yml:1:1: [warning] missing start (document-start)",
        "a.js:1:5: odd [Warning/no-odd]",
        "Makefile:10: warning: overriding recipe for target 'x'",
    ],
)
def test_warnings(line: str) -> None:
    (found,) = read(f"{line}\n")
    assert isinstance(found, Diagnostic)
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize(
    "line",
    [
        "12:30:01: started",
        "2026-11-27T12:30:01: started",
        "2026-11-27 12:30:01 server.js:10: listening",
        "http://example.com:80: no answer",
        "example.com:443: connection refused",
        "127.0.0.1:8080: connection refused",
        "localhost:3000: connection refused",
        "    at Object.<anonymous> (/w/a.js:10:5)",
        "/w/a.js:10",
        "node:internal/modules/loader:1080",
        "INFO server.js:10: started",
        "[debug] server.js:10: started",
        "Error in src/a.js:3: it broke",
        "foo.rb:3:in `bar': undefined method",
        "make: *** [Makefile:3: all] Error 1",
        "Makefile:8: recipe for target 'all' failed",
        "a.c:3:5: note: declared here",
        "bash: line 1: nosuch: command not found",
        " 10 | a.c:3:5: error: x",
        "step 3:5: done",
        "sha256:12: abc",
        "a.txt:99999999999999999999: ",
    ],
)
def test_no_errors(line: str) -> None:
    assert read(f"{line}\n") == []


def test_a_number_that_is_no_line_is_none() -> None:
    (found,) = read("a.txt:99999999999999999999: x\n")
    assert isinstance(found, Diagnostic)
    assert (found.path, found.line) == ("a.txt", None)
