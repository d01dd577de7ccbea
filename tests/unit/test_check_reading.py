"""One stream of several tools: who reads what, documents between lines, and that pieces and bounds change nothing."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.model.diagnostics import Diagnostic, Found, Total
from wavepool.plan.diagnostics.balance import DEPTH_MAX, Balance
from wavepool.plan.diagnostics.choosing import IDLE_MAX, LineReading
from wavepool.plan.diagnostics.decoding import Decoder
from wavepool.plan.diagnostics.lines import LineCutter
from wavepool.plan.diagnostics.reading import HEAD_MAX, PROBLEMS_MAX, OutputReader
from wavepool.plan.diagnostics.registry import DOCUMENT_READERS, LANGUAGES, LINE_READERS, line_readers
from wavepool.plan.diagnostics.signs import Signs, alternatives

RECORDED = Path(__file__).parents[1] / "transcripts" / "checks"
RECORDINGS = sorted(path for path in RECORDED.rglob("*") if path.is_file() and path.stat().st_size < 100_000)
TSC = b"src/a.ts(1,2): error TS2322: Type 'x'.\n  It goes on.\n"
STYLISH = b"\n/w/b.js\n  3:4  error  Missing semicolon  semi\n\n\xe2\x9c\x96 1 problem (1 error, 0 warnings)\n\n"
MESSAGE = b'{"ruleId":"semi","severity":2,"message":"m","line":5,"column":6}'
JSON = b'[{"filePath":"/w/c.js","messages":[' + MESSAGE + b'],"errorCount":1}]'
NPM = b"\n> shop@1.0.0 check\n> tsc --noEmit && eslint .\n\n"
ERR = b"npm error code 2\nnpm error path /w\nmake: *** [Makefile:3: check] Error 1\n"


def read(*pieces: bytes, languages: frozenset[str] | None = None) -> tuple[list[Found], list[str]]:
    reader = OutputReader(languages)
    found = [one for piece in pieces for one in reader.feed(piece)]
    return [*found, *reader.end()], reader.problems


def places(*pieces: bytes) -> list[tuple[str, str | None, int | None]]:
    found, _ = read(*pieces)
    return [(one.tool, one.path, one.line) for one in found if isinstance(one, Diagnostic)]


A, B, C = ("tsc", "src/a.ts", 1), ("eslint", "/w/b.js", 3), ("eslint", "/w/c.js", 5)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (TSC + STYLISH, [A, B]),
        (STYLISH + TSC, [B, A]),
        (NPM + TSC + STYLISH + TSC + ERR, [A, B, A]),
        (JSON + b"\n" + TSC, [C, A]),
        (NPM + JSON + b"\n" + ERR + TSC, [C, A]),
        (TSC + JSON + b"\n\n" + STYLISH, [C, A, B]),
        (JSON + TSC, [C, A]),
        (JSON + JSON + b"\n" + JSON, [C, C, C]),
        (b"\n\n  \n" + JSON, [C]),
        (b"[INFO] build\n{ not json\n[\n" + JSON + b"\n" + TSC, [C, A]),
        (b'{"level":"info"}\n{"level":"warn"}\n' + TSC + b'{"level":"info"}\n' + JSON, [A, C]),
        (json.dumps(json.loads(JSON), indent=2).encode() + b"\n" + TSC, [C, A]),
    ],
)
def test_each_tool_in_turn(output: bytes, expected: list[object]) -> None:
    assert sorted(places(output), key=str) == sorted(expected, key=str)
    assert read(*(bytes([byte]) for byte in output)) == read(output)


def test_whoever_takes_over_ends_what_was_under_way_before() -> None:
    assert places(TSC + STYLISH)[0] == A
    (first, *_), _ = read(TSC + STYLISH)
    assert isinstance(first, Diagnostic)
    assert first.message == "Type 'x'.\n  It goes on."


def test_a_reader_that_takes_over_again_knows_its_file() -> None:
    more = b"  9:1  error  Again  eqeqeq\n"
    assert places(STYLISH + TSC + b"\n" + more) == [B, A, ("eslint", "/w/b.js", 9)]


def test_only_the_languages_asked_for() -> None:
    assert read(TSC + STYLISH + JSON, languages=frozenset({"python"}))[0] == []
    assert len(read(TSC + STYLISH, languages=frozenset({"typescript", "go"}))[0]) == 3


class SignlessReading(LineReading):
    """Offers each line to all readers."""

    def __init__(self) -> None:
        super().__init__(line_readers(None))
        self._signs = Signs([None] * len(LINE_READERS))


@pytest.mark.parametrize("recorded", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_signs_hide_no_line_that_a_reader_would_take_over_with(recorded: Path) -> None:
    decoder, cutter = Decoder(), LineCutter()
    lines = [*cutter.cut(decoder.decode(recorded.read_bytes(), final=True)), *cutter.end()]
    with_signs, without = LineReading(line_readers(None)), SignlessReading()
    assert [*with_signs.read(lines), *with_signs.end()] == [*without.read(lines), *without.end()]


ONE_OF_EACH_TOOL = [
    path.read_bytes().rstrip() + b"\n"
    for directory in sorted(RECORDED.iterdir())
    if directory.name != "real"
    for path in sorted(set(RECORDINGS) & set(directory.iterdir()))[-1:]
]


@pytest.mark.parametrize("first", ONE_OF_EACH_TOOL, ids=range(len(ONE_OF_EACH_TOOL)))
def test_no_tool_takes_a_diagnostic_from_the_one_after_it(first: bytes) -> None:
    for second in ONE_OF_EACH_TOOL:
        assert sorted(places(first + second), key=str) == sorted(places(first) + places(second), key=str)


def test_a_reader_that_was_idle_for_long_is_ended_and_needs_a_sign() -> None:
    noise = b"compiled\n" * IDLE_MAX
    reader = OutputReader()
    assert [one.tool for one in reader.feed(TSC + noise)] == ["tsc"]
    assert reader.feed(b"  an indented line\n") == []
    assert [one.path for one in [*reader.feed(TSC), *reader.end()] if isinstance(one, Diagnostic)] == ["src/a.ts"]


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("a|b", ["a", "b"]),
        (r"^(?:a|b)|c[|(]d|\||e", [r"^(?:a|b)", "c[|(]d", r"\|", "e"]),
        ("[]|]x|[^]|(]", ["[]|]x", "[^]|(]"]),
    ],
)
def test_the_alternatives_of_a_sign(expression: str, parts: list[str]) -> None:
    assert alternatives(expression) == parts


def test_no_sign_reaches_over_the_end_of_its_line() -> None:
    crossing = re.compile(r"(?<!\\)\\[sWDn]|\[\^(?![^\]]*\\n)")
    assert [(reader.__name__, reader.signs) for reader in LINE_READERS if crossing.search(reader.signs or "")] == []


def test_no_sign_has_a_numbered_group() -> None:
    assert [reader.__name__ for reader in LINE_READERS if re.compile(reader.signs or "").groups] == []


def test_a_sign_may_be_in_a_line_without_a_colon() -> None:
    signs = Signs(["a:?b", "c(?::|d)", r"\\:", "[:;]e", "f:", "g:{0,1}h"])
    assert signs.of(["ab"]) == {0: {0}}
    assert signs.of(["cd ;e gh"]) == {0: {1, 3, 5}}
    assert signs.of([r"\:"]) == {0: {2}}
    assert signs.of(["f"]) == {}
    assert signs.of(["f: a:b"]) == {0: {0, 4}}


def test_signs_are_the_same_of_one_line_and_of_many() -> None:
    signs = Signs([reader.signs for reader in LINE_READERS])
    for recorded in RECORDINGS:
        lines = recorded.read_bytes().decode("utf-8", "replace").split("\n")
        of_one = {place: found[0] for place, line in enumerate(lines) if (found := signs.of([line]))}
        assert of_one == signs.of(lines), recorded


def test_each_reader_has_signs_languages_that_can_be_asked_for_and_a_name() -> None:
    assert [reader.__name__ for reader in LINE_READERS if reader.signs is None] == []
    assert {"typescript", "javascript"} <= set(LANGUAGES)
    assert all(reader.tool for reader in (*LINE_READERS, *DOCUMENT_READERS))


@pytest.mark.parametrize("cut", [1, 20, 40, len(JSON) - 20])
def test_a_document_cut_off_is_told(cut: int) -> None:
    found, problems = read(JSON[:-cut])
    assert len(problems) == 1
    assert problems[0].startswith("eslint: it is cut off, or no JSON: ")
    assert [one for one in found if isinstance(one, Total)] == []


def test_what_a_document_has_before_its_fault_and_what_comes_after_it_is_read() -> None:
    broken = JSON[:-17] + b"oops\n" + TSC
    assert places(broken) == [C, A]
    assert len(read(broken)[1]) == 1
    assert read(*(bytes([byte]) for byte in broken)) == read(broken)
    killed = JSON[: JSON.index(b"semi")] + b"\n" + TSC
    assert places(killed) == [A]


def test_after_many_broken_documents_they_are_lines() -> None:
    found, problems = read(b'[{"filePath":}\n' * 1000 + TSC + JSON)
    assert len(problems) == PROBLEMS_MAX
    assert "further ones are read as lines" in problems[-1]
    assert [one.tool for one in found] == ["tsc"]


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        (b'"x":' + b"[" * 5000, "it is nested more than"),
        (b'"messages":[{' + b'"k":0,' * 200_000, "one entry of it is too large"),
        (b'"source":"' + b"x" * (17 * 2**20), "a string in it is longer than"),
        (b'"x":{' + b"".join(b'"%s":{' % (b"k" * 50_000) for _ in range(3)), "the keys that lead to a value in it are"),
        (b'"errorCount":' + b"1" * 200_000, "a word or number in it is longer than"),
    ],
)
def test_what_would_take_memory_without_bound_is_a_broken_document(inside: bytes, why: str) -> None:
    found, problems = read(b'[{"filePath":"/w/c.js",' + inside + b"\n" + TSC)
    assert [problem.removeprefix("eslint: ").startswith(why) for problem in problems] == [True]
    assert [one.tool for one in found] == ["tsc"]


@pytest.mark.parametrize("line", [b'{"a":1}\n', b"[ [\n", b"[1, 2]\n", b'[{"a":\n', b"{\n}\n[\n]\n"])
def test_what_begins_like_no_document_is_not_waited_for(line: bytes) -> None:
    assert [one.tool for one in OutputReader().feed(line + TSC + TSC)] == ["tsc"]


def test_a_head_is_waited_for_no_longer_than_it_takes() -> None:
    reader = OutputReader()
    assert reader.feed(b'{"version"\n' + TSC + TSC) == []
    assert [one.tool for one in reader.feed(b" " * HEAD_MAX)] == ["tsc"]


STREAMS = [path.read_bytes() for path in RECORDINGS]
PARTS = st.sampled_from(
    [
        TSC,
        STYLISH,
        JSON,
        JSON[:60],
        NPM,
        ERR,
        b"\n",
        b"\r\n",
        b"{",
        b'["',
        b"]",
        b"}",
        b"\x1b[1G",
        b"\xff",
        b"  x\n",
        b"Found 1 error.\n",
    ]
)


@settings(max_examples=60)
@given(stream=st.sampled_from(STREAMS), cuts=st.lists(st.integers(0, 20_000), max_size=8))
def test_where_a_real_output_is_cut_changes_nothing(stream: bytes, cuts: list[int]) -> None:
    assert read(*pieces(stream, cuts)) == read(stream)


@given(parts=st.lists(PARTS, max_size=12), cuts=st.lists(st.integers(0, 1500), max_size=12))
def test_where_any_mixture_is_cut_changes_nothing(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    assert read(*pieces(stream, cuts)) == read(stream)


@given(data=st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_no_bytes_are_too_much_for_it(data: bytes) -> None:
    read(data)
    read(JSON[:30] + data)
    read(TSC + data + STYLISH)


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(ends)]


DOCUMENTS = st.recursive(
    st.none() | st.integers() | st.text(alphabet='a"\\[]{}\n,:ü', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='"\\[]{}', max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    document=DOCUMENTS, after=st.text(alphabet='"\\[]{}x', max_size=5), cuts=st.lists(st.integers(0, 60), max_size=6)
)
def test_the_end_of_a_document_is_found_whatever_follows(document: object, after: str, cuts: list[int]) -> None:
    text = json.dumps([document], ensure_ascii=False)
    whole = text + after
    ends = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    balance, passed = Balance(), 0
    for start, end in pairwise(ends):
        place = balance.end_in(whole[start:end])
        if place is not None:
            assert start + place == len(text)
            return
        passed = end
    raise AssertionError(f"no end in {passed} characters")


def test_what_is_deep_but_not_too_deep_has_an_end() -> None:
    assert Balance().end_in("[" * DEPTH_MAX + "]" * DEPTH_MAX + "x") == 2 * DEPTH_MAX


LONG_OBJECT = '{"cell":null,"code":"F401","end_location":{"row":1,"column":1},"filename":"a.py","fix":"%s",\
"location":{"row":1,"column":1},"message":"unused"}\n'


@pytest.mark.parametrize(("size", "read_of_it", "told"), [(300_000, 1, 0), (5 * 2**20, 0, 1)])
def test_a_long_object_of_json_is_read_or_told(size: int, read_of_it: int, told: int) -> None:
    text = (LONG_OBJECT % ("x" * size)).encode()
    found, problems = read(*(text[start : start + 100_000] for start in range(0, len(text), 100_000)), TSC)
    assert [one.tool for one in found].count("ruff") == read_of_it
    assert [one.tool for one in found].count("tsc") == 1
    assert [problem.startswith("lines of JSON were longer than 4 MiB") for problem in problems] == [True] * told
