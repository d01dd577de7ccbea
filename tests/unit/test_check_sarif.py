"""SARIF 2.1.0: of ruff and of clang as they wrote it, and what the standard leaves to others."""

from __future__ import annotations

import json

import pytest
from recorded_checks import brief, counted, messages, read, recorded, totals

from wavepool.model.diagnostics import Diagnostic, Severity, Total
from wavepool.plan.diagnostics.base import BadDocument
from wavepool.plan.diagnostics.reading import OutputReader
from wavepool.plan.diagnostics.sarif import HELD_MAX, SarifReader
from wavepool.plan.diagnostics.sarif_run import path_of


def result(**fields: object) -> dict[str, object]:
    """A result at a.c:3, of the rule R."""
    place = {"artifactLocation": {"uri": "a.c"}, "region": {"startLine": 3}}
    return {"ruleId": "R", "message": {"text": "odd"}, "locations": [{"physicalLocation": place}], **fields}


def run(*results: dict[str, object], name: str = "scan", **fields: object) -> dict[str, object]:
    return {"tool": {"driver": {"name": name}}, **fields, "results": list(results)}


def log(*runs: dict[str, object]) -> str:
    return json.dumps({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": runs})


def at(uri: str, base: str | None = None, **fields: object) -> dict[str, object]:
    location = {"uri": uri} if base is None else {"uri": uri, "uriBaseId": base}
    return result(locations=[{"physicalLocation": {"artifactLocation": {**location, **fields}}}])


def test_ruff_which_names_itself_after_its_results() -> None:
    found = recorded("sarif/ruff.sarif")
    assert brief(found) == [
        "E /workspace/py2/[id]/a b.py:1:1 I001",
        "E /workspace/py2/[id]/a b.py:1:8 F401",
        "E /workspace/py2/[id]/a b.py:2:8 F401",
        "E /workspace/py2/[id]/a b.py:4:7 F821",
        "E /workspace/py2/ü.py:1:7 invalid-syntax",
        "E /workspace/py2/ü.py:2:1 invalid-syntax",
    ]
    assert counted(found, "ruff") == (6, 0)
    assert messages(found)[3] == "Undefined name `y`"


def test_clang_agrees_with_the_total_that_it_writes_beside_the_document() -> None:
    found = recorded("sarif/clang-19.txt")
    assert counted(found, "gcc") == (5, 2)
    assert totals(found) == [Total(tool="gcc", errors=5, warnings=2)]
    assert "E /workspace/c/my [id].h:2:27 4965" in brief(found)


def test_each_run_has_its_own_tool() -> None:
    found = read(log(run(result(level="error"), name="one"), run(result(), result(level="note"), name="two")))
    assert [(one.tool, one.severity) for one in found if isinstance(one, Diagnostic)] == [
        ("one", Severity.ERROR),
        ("two", Severity.WARNING),
        ("two", Severity.WARNING),
    ]


@pytest.mark.parametrize("field", ["pass", "open", "informational", "notApplicable", "review"])
def test_only_what_fails_is_a_fault(field: str) -> None:
    assert read(log(run(result(kind=field, level="none"), result(kind=field)))) == []
    assert len(read(log(run(result(kind="fail"))))) == 1


@pytest.mark.parametrize(
    ("suppressions", "told"),
    [
        ([], 1),
        ([{"kind": "inSource"}], 0),
        ([{"kind": "external", "status": "accepted"}], 0),
        ([{"kind": "external", "status": "underReview"}], 1),
        ([{"kind": "inSource"}, {"kind": "external", "status": "rejected"}], 1),
    ],
)
def test_suppressed_ones_are_none(suppressions: list[dict[str, str]], told: int) -> None:
    assert len(read(log(run(result(suppressions=suppressions))))) == told


def test_what_a_baseline_calls_gone_is_gone() -> None:
    states = [result(baselineState=state) for state in ("absent", "new", "unchanged", "updated")]
    assert len(read(log(run(*states)))) == 3


def test_a_rule_says_what_its_results_leave_out() -> None:
    rules = [
        {"id": "A", "defaultConfiguration": {"level": "error"}, "messageStrings": {"m": {"text": "{0} is not {1}{2}"}}},
        {"id": "B", "defaultConfiguration": {"level": "none"}},
    ]
    tool = {"driver": {"name": "scan", "rules": rules}}
    results = [
        {"ruleId": "A/x", "message": {"id": "m", "arguments": ["x", "y"]}},
        {"ruleIndex": 0, "message": {"markdown": "*odd*"}},
        {"rule": {"id": "A", "index": 0}, "message": {}},
        {"ruleId": "B", "message": {"text": "odd"}},
        {"message": {"id": "unknown"}},
    ]
    for document in (log({"tool": tool, "results": results}), log({"results": results, "tool": tool})):
        found = read(document)
        assert brief(found) == ["E A/x", "E A", "E A", "W"]
        assert messages(found) == ["x is not y{2}", "*odd*", "A", "unknown"]


def test_paths_begin_where_the_run_says() -> None:
    bases = {
        "SRC": {"uri": "src%20dir/", "uriBaseId": "ROOT"},
        "ROOT": {"uri": "file:///workspace/"},
        "LOOP": {"uri": "x/", "uriBaseId": "LOOP"},
    }
    results = [
        at("%5Bid%5D/a%20b.c", "SRC"),
        at("(g)/[id].c", "ROOT"),
        at("a.c", "%SRCROOT%"),
        at("file:///etc/x.c", "ROOT"),
        at("http://x.example/a%20b.c"),
    ]
    assert brief(read(log(run(*results, originalUriBaseIds=bases)))) == [
        "W /workspace/src dir/[id]/a b.c R",
        "W /workspace/(g)/[id].c R",
        "W a.c R",
        "W /etc/x.c R",
        "W http://x.example/a%20b.c R",
    ]
    assert len(read(log(run(at("a.c", "LOOP"), originalUriBaseIds=bases)))) == 1


def test_files_by_their_place_in_the_list() -> None:
    artifacts = [{"location": {"uri": "one.c"}}, {"location": {"uri": "t%C3%BC.c"}, "contents": {"text": "x" * 100}}]
    by_index = [
        result(locations=[{"physicalLocation": {"artifactLocation": {"index": index}}}]) for index in (1, 7, -1)
    ]
    assert brief(read(log(run(*by_index, artifacts=artifacts)))) == ["W tü.c R", "W R", "W R"]


def test_results_without_a_place_are_told() -> None:
    logical = result(locations=[{"logicalLocations": [{"name": "f"}]}])
    assert brief(read(log(run(result(locations=[]), logical, {"message": {"text": "odd"}})))) == ["W R", "W R", "W"]


def test_a_result_that_is_none_is_told_as_an_error() -> None:
    found = read(log(run({"ruleId": "R"}, result(level="terrible"), result(level="error"))))
    assert brief(found) == ["E", "E", "E a.c:3 R"]
    assert messages(found)[0].startswith("a result is not as SARIF 2.1.0 has it: message: ")


def test_so_many_results_before_their_tool_that_they_are_not_held() -> None:
    reader = SarifReader()
    head, _, tail = log({"results": [result(level="error")], "tool": {"driver": {"name": "late"}}}).partition('[{"rule')
    one = json.dumps(result(level="error")) + ","
    reader.feed(head + "[")
    found = [one_found for _ in range(HELD_MAX + 5) for one_found in reader.feed(one)]
    found += reader.feed('{"rule' + tail)
    found += reader.end()
    assert counted(found, "sarif") == (HELD_MAX + 6, 0)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (log(run(result()))[:-20], "broken, or cut off"),
        (log(run(result())).replace('"2.1.0"', '"2.0.0"'), "SARIF 2.0.0"),
        (log(run(result(locations=[{"properties": {"x": eval("[" * 80 + "]" * 80)}}]))), "nested too deep"),
        (log(run(result())).replace('"runs": [', '"runs": [ nul'), "broken, or cut off"),
    ],
)
def test_what_is_broken_is_said(document: str, words: str) -> None:
    reader = OutputReader()
    reader.feed(document.encode())
    reader.end()
    assert [words in problem for problem in reader.problems] == [True]


def test_a_part_without_end_is_given_up() -> None:
    reader = SarifReader()
    reader.feed('{"version": "2.1.0", "runs": [{"results": [{"message": {"text": "')
    many = "x" * 16_000_000
    reader.feed(many)
    with pytest.raises(BadDocument, match="16777216 characters"):
        reader.feed(many)


def test_what_was_held_is_told_although_the_document_is_cut_off() -> None:
    whole = log({"results": [result(), result()], "tool": {"driver": {"name": "late"}}})
    reader = OutputReader()
    found = [*reader.feed(whole[: whole.index("tool")].encode()), *reader.end()]
    assert counted(found, "sarif") == (0, 2)
    assert len(reader.problems) == 1


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a%20b/%5Bid%5D.c", "/a b/[id].c"),
        ("file:///C:/x%20y/a.c", "C:/x y/a.c"),
        ("file:/a.c", "/a.c"),
        ("file://localhost/a.c", "/a.c"),
        ("file://host/share/a.c", "//host/share/a.c"),
        ("src/%ZZ.c", "src/%ZZ.c"),
        ("./ü.c", "./ü.c"),
        ("C:/x/a.c", "C:/x/a.c"),
    ],
)
def test_uris(uri: str, path: str) -> None:
    assert path_of(uri) == path


@pytest.mark.parametrize("head", ['{"results": []}', '[{"runs": [', '{"version": 3, "runs": {}}', "{"])
def test_other_documents_are_not_taken_for_it(head: str) -> None:
    assert not SarifReader.recognises(head)


def test_it_is_recognised_in_any_order_of_its_fields() -> None:
    assert SarifReader.recognises('{"runs":[{"results":[')
    assert SarifReader.recognises('{\n "version": "2.1.0",\n "runs": [')
