"""Files with errors divided among batches: each in exactly one, within the bounds, the same each time."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.grouping import Bounds, Group, Strategy, group
from wavepool.plan.making.findings import Findings, Place, Placed


def findings_of(errors: dict[str, int]) -> Findings:
    findings = Findings(lambda path: Placed(place=Place.INSIDE, path=path))
    for path, number in errors.items():
        for line in range(1, number + 1):
            findings.add(Diagnostic(tool="t", message="wrong", path=path, line=line))
    return findings


def files_of(groups: tuple[Group, ...]) -> list[tuple[str, ...]]:
    return [each.files for each in groups]


def test_each_file_alone() -> None:
    groups = group(findings_of({"b.py": 1, "a/c.py": 2}), Strategy.FILE)
    assert files_of(groups) == [("a/c.py",), ("b.py",)]
    assert [each.errors for each in groups] == [2, 1]
    assert [len(each.diagnostics) for each in groups] == [2, 1]


def test_a_directory_together_and_its_subdirectories_apart() -> None:
    groups = group(findings_of(dict.fromkeys(["a/x.py", "a/b/y.py", "a/z.py", "top.py"], 1)), Strategy.DIRECTORY)
    assert files_of(groups) == [("top.py",), ("a/x.py", "a/z.py"), ("a/b/y.py",)]


def test_a_large_directory_is_cut_into_balanced_parts() -> None:
    groups = group(findings_of({f"a/{number:02}.py": 1 for number in range(41)}), Strategy.DIRECTORY)
    assert sorted(len(each.files) for each in groups) == [13, 14, 14]


def test_many_errors_make_a_group_smaller_and_one_file_is_never_cut() -> None:
    groups = group(findings_of({"a/1.py": 199, "a/2.py": 2, "a/3.py": 500}), Strategy.DIRECTORY)
    assert files_of(groups) == [("a/1.py",), ("a/2.py",), ("a/3.py",)]


names = st.builds(posixpath.join, st.sampled_from(["", "a", "a/b", "c"]), st.integers(0, 30).map("{}.py".format))


@pytest.mark.parametrize("strategy", Strategy)
@given(
    errors=st.dictionaries(names, st.integers(1, 9)),
    random=st.randoms(use_true_random=False),
    bounds=st.builds(Bounds, max_files=st.integers(1, 6), max_errors=st.integers(1, 20)),
)
def test_every_file_is_in_exactly_one_group_within_the_bounds(
    strategy: Strategy, errors: dict[str, int], random: object, bounds: Bounds
) -> None:
    groups = group(findings_of(errors), strategy, bounds=bounds)
    assert sorted(path for each in groups for path in each.files) == sorted(errors)
    assert sum(each.errors for each in groups) == sum(errors.values())
    assert all(bounds.allow(len(each.files), each.errors) and each.files for each in groups)
    assert all(list(each.files) == sorted(each.files) for each in groups)
    shuffled = list(errors.items())
    random.shuffle(shuffled)
    assert group(findings_of(dict(shuffled)), strategy, bounds=bounds) == groups
