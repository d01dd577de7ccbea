"""Diagnostics gathered by file: counted once, in any order, in bounded memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.model.diagnostics import Diagnostic, Severity, Total
from wavepool.plan.making.findings import KEPT_PER_FILE, Findings, Place, Placed
from wavepool.plan.making.toolcounts import Disagreement


def place(path: str) -> Placed:
    if path.startswith("node_modules/"):
        return Placed(place=Place.VENDORED, path=path)
    if path.startswith("/"):
        return Placed(place=Place.OUTSIDE, path=path)
    return Placed(place=Place.INSIDE, path=path.removeprefix("./"))


def fault(path: str | None = "a.py", line: int | None = 1, **more: object) -> Diagnostic:
    return Diagnostic(**({"tool": "t", "message": "wrong", "path": path, "line": line} | more))


def gathered(*found: Diagnostic | Total, warnings: bool = False) -> Findings:
    findings = Findings(place, warnings=warnings)
    for each in found:
        findings.add(each)
    return findings


def test_what_is_told_twice_counts_once() -> None:
    findings = gathered(fault("a.py"), fault("./a.py"), fault("a.py", 2))
    assert findings.errors == 2
    (file,) = findings.files
    assert (file.path, file.errors, [each.line for each in file.diagnostics]) == ("a.py", 2, [1, 2])
    assert {each.path for each in file.diagnostics} == {"a.py"}


def test_warnings_are_counted_apart_and_planned_only_when_asked() -> None:
    told = (fault(), fault("b.py", severity=Severity.WARNING))
    assert (gathered(*told).errors, gathered(*told).warnings) == (1, 1)
    assert [file.path for file in gathered(*told).files] == ["a.py"]
    assert [file.path for file in gathered(*told, warnings=True).files] == ["a.py", "b.py"]


def test_codes_are_told_by_how_many_there_are() -> None:
    (file,) = gathered(fault(line=1, code="X"), fault(line=2, code="A"), fault(line=3, code="A"), fault(line=4)).files
    assert list(file.codes.items()) == [("A", 2), ("X", 1)]


def test_what_no_batch_may_mend_is_set_apart_and_what_has_no_file_is_told() -> None:
    findings = gathered(fault("node_modules/x.d.ts"), fault("/usr/include/y.h"), fault(None, None), fault("a.py"))
    assert [(each.place, each.errors, each.examples[0].path) for each in findings.set_apart] == [
        (Place.VENDORED, 1, "node_modules/x.d.ts"),
        (Place.OUTSIDE, 1, "/usr/include/y.h"),
    ]
    assert findings.unplaced.errors == 1
    assert [file.path for file in findings.files] == ["a.py"]
    assert findings.errors == 4


def test_a_total_is_held_against_what_was_read_with_its_duplicates() -> None:
    told = (fault(), fault(), fault("b.py"), fault("b.py", severity=Severity.WARNING))
    assert gathered(*told, Total(tool="t", errors=3, warnings=1, files=2)).disagreements() == ()
    assert gathered(*told, Total(tool="t", errors=4, files=1)).disagreements() == (
        Disagreement(tool="t", what="errors", told=4, counted=3),
        Disagreement(tool="t", what="files", told=1, counted=2),
    )


def test_totals_of_several_runs_are_added_up() -> None:
    totals = (Total(tool="t", errors=1, files=1), Total(tool="t", errors=1, files=1))
    assert gathered(fault(), fault(line=2), *totals).disagreements() == ()
    assert gathered(Total(tool="u", errors=1)).disagreements() == (
        Disagreement(tool="u", what="errors", told=1, counted=0),
    )


paths = st.sampled_from(["a.py", "./a.py", "src/b.py", "node_modules/c.js", "/usr/d.h", None])
faults = st.builds(
    fault,
    paths,
    st.integers(1, 9) | st.none(),
    code=st.sampled_from(["E1", "E2", None]),
    severity=st.sampled_from(Severity),
)


@given(st.lists(faults), st.randoms(use_true_random=False), st.booleans())
def test_the_order_makes_no_difference(told: list[Diagnostic], random: object, warnings: bool) -> None:
    shuffled = list(told)
    random.shuffle(shuffled)
    one, other = gathered(*told, warnings=warnings), gathered(*shuffled, warnings=warnings)
    assert (one.files, one.unplaced, one.errors, one.warnings) == (
        other.files,
        other.unplaced,
        other.errors,
        other.warnings,
    )
    assert one.set_apart == other.set_apart
    everywhere = sum(file.errors for file in (*one.files, one.unplaced)) + sum(each.errors for each in one.set_apart)
    assert everywhere == one.errors + (one.warnings if warnings else 0)


def many(number: int, files: int) -> Findings:
    findings = Findings(place)
    for index in range(number):
        path = f"src/{index % files}.py"
        findings.add(fault(path, index // files + 1, message="is not what it should be"))
    return findings


@pytest.mark.parametrize("files", [1, 20_000])
def test_of_a_hundred_thousand_all_are_counted_and_few_kept(files: int) -> None:
    told = many(100_000, files).files
    assert (len(told), sum(file.errors for file in told)) == (files, 100_000)
    assert all(1 <= len(file.diagnostics) <= KEPT_PER_FILE for file in told)


@pytest.mark.slow
@pytest.mark.parametrize("files", [1, 1_000, 100_000])
def test_a_million_take_bounded_memory(files: int) -> None:
    tracemalloc.start()
    try:
        findings = many(1_000_000, files)
        used_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert findings.errors == 1_000_000
    assert used_bytes < 200_000_000


def test_where_too_many_would_be_kept_every_file_keeps_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavepool.plan.making.findings.KEPT_MAX", 100)
    told = [fault(f"{file}.py", line) for file in range(20) for line in range(1, 11)]
    one, other = gathered(*told), gathered(*reversed(told))
    assert one.files == other.files
    assert {len(file.diagnostics) for file in one.files} == {3}
    assert {file.errors for file in one.files} == {10}
    assert [each.line for each in one.files[0].diagnostics] == [1, 2, 3]


def test_files_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavepool.plan.making.findings.FILES_MAX", 2)
    findings = gathered(*(fault(f"{file}.py") for file in range(5)))
    assert (len(findings.files), findings.beyond, findings.errors) == (2, 3, 5)
