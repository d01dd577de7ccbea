"""Files that import one another, or the same module, go to one batch; what two batches import has one owner."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.grouping import Bounds, Foreign, Group, Sources, Strategy, contested, group
from wavepool.plan.making.findings import Findings, Place, Placed

ROOT = Path(__file__).parents[2]


def findings_of(paths: Mapping[str, int]) -> Findings:
    findings = Findings(lambda path: Placed(place=Place.INSIDE, path=path))
    for path, number in paths.items():
        for line in range(number):
            findings.add(Diagnostic(tool="t", message="wrong", path=path, line=line + 1))
    return findings


def divided(
    texts: Mapping[str, str], *wrong: str, strategy: Strategy = Strategy.IMPORTS, bounds: Bounds | None = None
) -> tuple[Group, ...]:
    sources = Sources(files=texts, read=texts.get)
    return group(findings_of(dict.fromkeys(wrong, 1)), strategy, bounds=bounds, sources=sources)


def test_files_that_import_one_another_go_together_and_strangers_stay_alone() -> None:
    texts = {"a/x.py": "import b.y", "b/y.py": "", "a/z.py": ""}
    assert [each.files for each in divided(texts, *texts)] == [("a/x.py", "b/y.py"), ("a/z.py",)]


def test_files_that_share_a_module_without_errors_go_together_and_own_it() -> None:
    texts = {
        "a.ts": "import './types'",
        "b.ts": "import './types'",
        "c.ts": "import './own'",
        "types.ts": "",
        "own.ts": "",
    }
    one, other = divided(texts, "a.ts", "b.ts", "c.ts")
    assert (one.files, one.owns, one.foreign) == (("a.ts", "b.ts"), ("types.ts",), ())
    assert (other.files, other.owns, other.foreign) == (("c.ts",), ("own.ts",), ())
    assert contested((one, other)).number == 0


def test_what_several_import_belongs_to_the_one_with_the_most_importers() -> None:
    texts = {f"{name}.ts": "import './types'" for name in "abcde"} | {"types.ts": ""}
    groups = divided(texts, *(f"{name}.ts" for name in "abcde"), bounds=Bounds(max_files=3))
    assert sorted(len(each.files) for each in groups) == [2, 3]
    owners = [number for number, each in enumerate(groups) if "types.ts" in each.owns]
    (owner,) = owners
    assert len(groups[owner].files) == 3
    assert groups[1 - owner].foreign == (Foreign(path="types.ts", owner=owner),)
    assert contested(groups).modules == ("types.ts",)


def test_a_file_with_errors_belongs_to_its_own_group_whoever_imports_it() -> None:
    texts = {f"a/{name}.ts": "import '../b/types'" for name in "abc"} | {"b/types.ts": ""}
    mine, other = divided(texts, *texts, strategy=Strategy.DIRECTORY)
    assert mine.foreign == (Foreign(path="b/types.ts", owner=1),)
    assert (mine.owns, other.owns, other.foreign) == ((), (), ())
    assert (contested((mine, other)).modules, contested((mine, other)).imports) == ((), 3)


def test_two_cliques_with_one_bridge_are_cut_at_the_bridge() -> None:
    texts = {f"{side}{n}.ts": f"import './{side}'; import './{side}-types'" for side in "ab" for n in range(6)}
    wrong = list(texts)
    texts |= dict.fromkeys(("a.ts", "b.ts", "a-types.ts", "b-types.ts"), "")
    texts["a0.ts"] += "\nimport './b5'"
    groups = divided(texts, *wrong, bounds=Bounds(max_files=7))
    assert [{path[0] for path in each.files} for each in groups] == [{"a"}, {"b"}]
    assert contested(groups).number == 1


# -- always --

modules = st.integers(0, 40)
trees = st.dictionaries(modules, st.sets(modules, max_size=5), max_size=40)


def written(tree: Mapping[int, set[int]]) -> dict[str, str]:
    name = {number: f"d{number % 3}/m{number}" for number in range(41)}
    texts = {f"{name[number]}.ts": "" for number in range(41)}
    for number, targets in tree.items():
        here = posixpath.dirname(name[number])
        texts[f"{name[number]}.ts"] = "\n".join(f"import '{posixpath.relpath(name[each], here)}'" if
            posixpath.relpath(name[each], here).startswith(".") else f"import './{posixpath.relpath(name[each], here)}'"
            for each in sorted(targets))  # fmt: skip
    return texts


@settings(max_examples=150)
@given(
    tree=trees,
    errors=st.dictionaries(modules, st.integers(1, 9)),
    bounds=st.builds(Bounds, max_files=st.integers(1, 8), max_errors=st.integers(5, 40)),
    random=st.randoms(use_true_random=False),
)
def test_the_fewest_are_contested_each_file_is_in_one_group_and_each_module_has_one_owner(
    tree: dict[int, set[int]], errors: dict[int, int], bounds: Bounds, random: object
) -> None:
    texts = written(tree)
    wrong = {f"d{number % 3}/m{number}.ts": count for number, count in errors.items()}
    sources = Sources(files=texts, read=texts.get)
    by = {each: group(findings_of(wrong), each, bounds=bounds, sources=sources) for each in Strategy}
    groups = by[Strategy.IMPORTS]
    assert sorted(path for each in groups for path in each.files) == sorted(wrong)
    assert all(bounds.allow(len(each.files), each.errors) for each in groups)
    numbers = {strategy: contested(each).number for strategy, each in by.items()}
    assert numbers[Strategy.IMPORTS] <= numbers[Strategy.DIRECTORY] <= numbers[Strategy.FILE]
    for each in by.values():
        owned = [path for one in each for path in (*one.files, *one.owns)]
        assert len(owned) == len(set(owned))
        for number, one in enumerate(each):
            assert all(other.owner != number for other in one.foreign)
            assert all(other.path in (*each[other.owner].files, *each[other.owner].owns) for other in one.foreign)
    shuffled = list(wrong.items())
    random.shuffle(shuffled)
    backwards = Sources(files=list(reversed(list(texts))), read=texts.get)
    assert group(findings_of(dict(shuffled)), Strategy.IMPORTS, bounds=bounds, sources=backwards) == groups


@settings(max_examples=60)
@given(tree=trees, bounds=st.builds(Bounds, max_files=st.integers(2, 8), max_errors=st.just(1000)))
def test_a_component_that_is_cut_leaves_no_two_parts_that_would_fit_together(
    tree: dict[int, set[int]], bounds: Bounds
) -> None:
    ring = {number: {(number + 1) % 41} for number in range(41)}
    texts = written({number: tree.get(number, set()) | ring[number] for number in ring})
    sizes = sorted(len(each.files) for each in divided(texts, *texts, bounds=bounds))
    assert sizes[0] + sizes[1] > bounds.max_files


# -- on real files --


def every_third_of(files: list[str], texts: Sources) -> dict[Strategy, int]:
    wrong = dict.fromkeys(sorted(files)[::3], 2)
    by = {each: group(findings_of(wrong), each, sources=texts) for each in Strategy}
    assert len(by[Strategy.IMPORTS]) <= len(by[Strategy.DIRECTORY])
    return {strategy: contested(groups).number for strategy, groups in by.items()}


def test_on_this_repository_imports_leave_the_fewest_contested() -> None:
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.py")]
    numbers = every_third_of(files, Sources(files=files, read=lambda path: (ROOT / path).read_text("utf-8")))
    assert numbers[Strategy.IMPORTS] < 0.75 * numbers[Strategy.DIRECTORY]
    assert numbers[Strategy.DIRECTORY] < numbers[Strategy.FILE]


def test_on_a_tree_by_features_imports_leave_the_fewest_contested() -> None:
    """Features that are spread over directories by kind of file, as in many projects: directories tell nothing."""
    texts: dict[str, str] = {}
    for feature in range(60):
        texts[f"types/f{feature}.ts"] = "import './common'"
        texts[f"api/f{feature}.ts"] = f"import '../types/f{feature}'"
        texts[f"store/f{feature}.ts"] = f"import '../api/f{feature}'; import '../types/f{feature}'"
        texts[f"views/f{feature}.tsx"] = f"import '../store/f{feature}'; import '../store/f{(feature + 1) % 60}'"
    texts["types/common.ts"] = ""
    wrong = [path for path in texts if path.startswith(("api", "store", "views"))]
    numbers = {each: contested(divided(texts, *wrong, strategy=each)).number for each in Strategy}
    assert numbers[Strategy.IMPORTS] < 0.25 * numbers[Strategy.DIRECTORY]
