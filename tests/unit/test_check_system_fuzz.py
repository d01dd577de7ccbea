"""No text makes the readers of rustc, go, gcc, shellcheck, plain lines and SARIF fail, nor tell what is no place."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.model.diagnostics import Diagnostic, Found
from wavepool.plan.diagnostics.base import BadDocument, LineReader
from wavepool.plan.diagnostics.gcc import GccReader
from wavepool.plan.diagnostics.go import GoReader
from wavepool.plan.diagnostics.plain import PlainReader
from wavepool.plan.diagnostics.rust_tests import RustTestReader
from wavepool.plan.diagnostics.rustc import RustcReader
from wavepool.plan.diagnostics.sarif import SarifReader
from wavepool.plan.diagnostics.shellcheck import ShellcheckReader

READERS: tuple[type[LineReader], ...] = (
    GccReader,
    GoReader,
    PlainReader,
    RustcReader,
    RustTestReader,
    ShellcheckReader,
)

PIECES = st.sampled_from(
    [
        *["error", "warning", "note", "fatal error", ": ", ":", "[E0308]", "--> ", "3:5", ":3:5: ", "(3,5): ", "\t"],
        *["a b.c", "x.go", "src/[id].rs", "|", " | ^^^ ", "= note: ", "vet: ", "In ", "line 3:", "^--^", "generated."],
        *["^-- SC2086 (info): ", "undefined reference to `f'", "/usr/bin/ld: ", "ld.lld: error: ", "collect2: "],
        *[">>> referenced by ", "2 errors", "1 warning", "aborting due to ", "previous errors", "due to ", "  "],
        *["could not compile `x` (lib test)", "`x` (lib) ", "generated 9 warnings", "(1 duplicate)", "--- FAIL: "],
        *["thread 'main' ", "failures:", "---- t stdout ----", "test result: FAILED. 1 passed; 2 failed;", "(0.1s)"],
        *['{"reason":"compiler-message","message":', '"rendered":', '{"message":"x","level":"error","spans":[],'],
        *['"children":[]}', "}", '{"Time":', "panicked at ", "٣", "²", "9" * 21, "\ud800", "ü"],
    ]
)
LINES = st.lists(
    st.one_of(st.lists(PIECES, max_size=8).map("".join), st.text(max_size=40)), max_size=12
)  # fmt: skip


def check(found: list[Found]) -> None:
    for one in found:
        if isinstance(one, Diagnostic):
            assert one.message.strip() or one.path
            assert one.line is None or one.line > 0
            assert one.column is None or one.column > 0


@settings(max_examples=100, deadline=None)
@given(LINES)
def test_no_line_makes_a_reader_fail(lines: list[str]) -> None:
    for kind in READERS:
        reader = kind()
        found: list[Found] = []
        for number, line in enumerate(lines):
            found.extend(reader.read(line) or ())
            if number == 5:
                found.extend(reader.end())
        check([*found, *reader.end()])
        assert list(reader.end()) == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def sometimes(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(usual, usual, usual, ANYTHING)


URIS = st.sampled_from(["a.c", "file:///w/%5Bid%5D.c", "file:", "file://", "%", "http://[", "//", "\\\\x\\y", ""])
RESULTS = st.fixed_dictionaries(
    {"message": sometimes(st.fixed_dictionaries({}, optional={"text": st.text(max_size=5), "id": st.just("m")}))},
    optional={
        "ruleId": sometimes(st.sampled_from(["A", "A/b", "/"])),
        "ruleIndex": sometimes(st.integers(-1, 3)),
        "level": sometimes(st.sampled_from(["error", "warning", "note", "none"])),
        "kind": sometimes(st.sampled_from(["fail", "pass"])),
        "suppressions": sometimes(st.just([{"kind": "inSource"}])),
        "locations": sometimes(
            st.lists(
                st.fixed_dictionaries(
                    {
                        "physicalLocation": sometimes(
                            st.fixed_dictionaries(
                                {
                                    "artifactLocation": sometimes(st.fixed_dictionaries({"uri": URIS})),
                                    "region": sometimes(st.just({"startLine": 0, "startColumn": 3})),
                                }
                            )
                        )
                    }
                ),
                max_size=2,
            )
        ),
    },
)
RUNS = st.fixed_dictionaries(
    {"results": sometimes(st.lists(sometimes(RESULTS), max_size=4))},
    optional={
        "tool": sometimes(
            st.fixed_dictionaries(
                {
                    "driver": sometimes(
                        st.fixed_dictionaries(
                            {"name": sometimes(st.just("t")), "rules": sometimes(st.lists(ANYTHING, max_size=3))}
                        )
                    )
                }
            )
        ),
        "originalUriBaseIds": ANYTHING,
        "artifacts": sometimes(st.lists(ANYTHING, max_size=3)),
    },
)


@settings(max_examples=60, deadline=None)
@given(runs=sometimes(st.lists(RUNS, max_size=2)), cut=st.integers(1, 400), piece=st.integers(1, 50))
def test_no_log_makes_the_reader_fail(runs: object, cut: int, piece: int) -> None:
    text = json.dumps({"version": "2.1.0", "runs": runs})
    for document in (text, text[:-cut]):
        reader = SarifReader()
        found: list[Found] = []
        try:
            for start in range(0, len(document), piece):
                found.extend(reader.feed(document[start : start + piece]))
            found.extend(reader.end())
        except BadDocument:
            pass
        check(found)
