"""A plan that was made is one that `wavepool run` reads, as JSON and as YAML."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.errors import PlanError, SettingError
from wavepool.inputs.yamltext import dump_yaml, load_yaml
from wavepool.model import AgentOrder
from wavepool.model.diagnostics import Diagnostic, Severity, Total
from wavepool.plan import Plan, TierMap, parse_plan
from wavepool.plan.grouping import Foreign, Group, Strategy, group
from wavepool.plan.making.assigning import batches_of
from wavepool.plan.making.filewords import check_words, command_for
from wavepool.plan.making.findings import Findings, Place, Placed
from wavepool.plan.making.writing import Origin, plan_document
from wavepool.plan.packing import pack
from wavepool.plan.tiers import Tier
from wavepool.units import GIB, MIB, TIB, human_size


def place(path: str) -> Placed:
    if path.startswith("node_modules/"):
        return Placed(place=Place.VENDORED, path=path)
    return Placed(place=Place.INSIDE, path=path)


def fault(path: str | None, code: str | None = "E1", message: str = "It is wrong.", line: int = 1) -> Diagnostic:
    return Diagnostic(tool="tool", path=path, line=line, column=2, code=code, message=message)


def found(diagnostics: Iterable[Diagnostic], *totals: Total) -> Findings:
    findings = Findings(place)
    for each in (*diagnostics, *totals):
        findings.add(each)
    return findings


def written(
    findings: Findings,
    *,
    strategy: Strategy = Strategy.FILE,
    budget_bytes: int = 8 * GIB,
    tiers: TierMap | None = None,
    agent: AgentOrder | None = None,
    words: tuple[str, ...] = (),
) -> dict[str, Any]:
    groups = group(findings, strategy)
    batches = batches_of(groups, tiers or TierMap(), check="tool --all", unplaced=findings.unplaced)
    packed = pack(batches, budget_bytes, 32)
    origin = Origin(command="tool --all", findings=findings, strategy=strategy, budget_bytes=budget_bytes, parallel=32)
    return plan_document(packed, origin, agent=agent, words=words)


def read(raw: str, source: str = "plan") -> Plan:
    return parse_plan(raw.encode(), source=source, tiers=TierMap())


def test_a_plan_has_the_fields_of_the_seed_and_what_it_was_made_of() -> None:
    faults = [fault("a.py", line=1), fault("a.py", "E2", line=2), fault("b.py"), fault(None, None, "No file.")]
    faults += [fault("node_modules/x.js"), Diagnostic(tool="tool", message="w", path="a.py", severity=Severity.WARNING)]
    document = written(found(faults, Total(tool="tool", errors=7)))
    assert {name: document[name] for name in document if name not in ("waves", "packing")} == {
        "check": "tool --all",
        "errors": 5,
        "warnings": 1,
        "files": 2,
        "codes": {"E1": 2, "E2": 1},
        "set_apart": [{"place": "vendored", "errors": 1, "examples": [_example("node_modules/x.js", "E1", 1)]}],
        "unplaced": {"errors": 1, "examples": [_example(None, None, 1) | {"message": "No file."}]},
        "beyond": 0,
        "disagreements": [{"tool": "tool", "what": "errors", "told": 7, "counted": 5}],
        "strategy": "file",
        "contested": None,
        "budget": "8g",
        "max_parallel": 32,
    }
    assert document["packing"] == {
        "chosen": "best",
        "length_unit": "errors",
        "batches": 2,
        "in_order": {"waves": 1, "length": 2.0, "memory_peak": "1.0GB", "memory_held_percent": 12.5},
        "best": {"waves": 1, "length": 2.0, "memory_peak": "1.0GB", "memory_held_percent": 12.5},
        "shortest": {"waves": 1, "length": 2.0, "memory_peak": "1.0GB", "memory_held_percent": 12.5},
        "waves_at_least": 1,
        "length_at_least": 2.0,
    }
    (wave,) = document["waves"]
    assert (wave["wave_number"], wave["batch_count"], wave["memory_needed"], wave["parallelism"]) == (1, 2, "1.0GB", 2)
    first = wave["batches"][0]
    assert list(first) == [
        "batch_id", "tier", "memory", "files", "error_count", "coordination_note", "task_prompt"
    ]  # fmt: skip
    assert (first["batch_id"], first["tier"], first["memory"], first["files"], first["error_count"]) == (
        "iter1-batch-1", 1, "512m", ["a.py"], 2
    )  # fmt: skip
    assert "a.py" in first["task_prompt"]


def _example(path: str | None, code: str | None, line: int) -> dict[str, object]:
    example = {"tool": "tool", "path": path, "line": line, "column": 2, "code": code}
    return example | {"message": "It is wrong.", "severity": "error"}


def test_a_check_without_errors_is_an_empty_plan() -> None:
    document = written(found([]))
    assert document["waves"] == []
    assert read(json.dumps(document)).tasks == ()


def test_a_batch_names_its_agent_and_its_command_with_its_files() -> None:
    words = ("fix", "--", "{files}")
    document = written(found([fault("-a b.py")]), agent=AgentOrder(name="claude"), words=words)
    (batch,) = document["waves"][0]["batches"]
    assert (batch["agent"], batch["command"]) == ("claude", ["fix", "--", "./-a b.py"])
    order = AgentOrder(name="claude", model="m", flags=("--x",), max_turns=3, account="team")
    document = written(found([fault("a.py")]), agent=order)
    (task,) = read(json.dumps(document)).tasks
    assert task.agent == order


def test_files_are_arguments_of_their_own() -> None:
    assert command_for(("a", "{files}", "-x", "{files}"), ("1", "2")) == ("a", "1", "2", "-x", "1", "2")
    assert command_for(("a",), ("1",)) == ("a",)
    check_words(("a", "{files}", "{file}"))
    with pytest.raises(SettingError, match="a word of its own"):
        check_words(("sh", "-c", "fix {files}"))


def test_batches_are_numbered_by_tier_and_know_who_owns_what() -> None:
    findings = found(fault(path) for path in ("a.py", "b.py", "c.py"))
    a, b, c = findings.files
    groups = (
        Group(files=("a.py", "b.py"), findings=(a, b), foreign=(Foreign(path="c.py", owner=1),)),
        Group(files=("c.py",), findings=(c,)),
    )
    batches = batches_of(groups, TierMap(), iteration=2)
    assert [(each.batch_id, each.tier, each.files) for each in batches] == [
        ("iter2-batch-1", 1, ("c.py",)),
        ("iter2-batch-2", 2, ("a.py", "b.py")),
    ]
    assert [each.note for each in batches] == ["", "c.py belongs to iter2-batch-1"]
    assert "c.py belongs to iter2-batch-1" in batches[1].prompt


def test_a_name_that_is_no_text_does_not_make_a_plan_that_cannot_be_read() -> None:
    document = written(found([fault("caf\udce9.py", message="caf\udce9")]))
    assert read(json.dumps(document)).tasks[0].files == ("caf?.py",)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
paths = st.text("ab[]() /-\\é\u2028\x85\n\t\x1b:#'\"", min_size=1, max_size=8).filter(lambda path: path.strip())
faults_in = st.builds(
    fault, paths | st.none(), texts | st.none() | st.sampled_from(["0o17", "1e5", "yes", "null"]), texts, st.integers(1)
)
sizes = st.integers(6 * MIB, 3 * TIB)
tier_maps = st.lists(sizes, min_size=4, max_size=4).map(
    lambda memory: TierMap(
        tiers=tuple(
            Tier(number=number, memory_bytes=each, max_files=most)
            for number, each, most in zip((1, 2, 3, 4), memory, (1, 3, 8, None), strict=True)
        )
    )
)


@given(st.lists(faults_in, max_size=12), st.sampled_from((Strategy.FILE, Strategy.DIRECTORY)), tier_maps, st.booleans())
def test_a_written_plan_is_read_without_a_warning(
    faults: list[Diagnostic], strategy: Strategy, tiers: TierMap, with_command: bool
) -> None:
    findings = found(faults)
    words = ("fix", "{files}") if with_command else ()
    document = written(findings, strategy=strategy, budget_bytes=4 * TIB, tiers=tiers, words=words)
    plan = read(json.dumps(document))
    assert [each for each in plan.warnings if "there is nothing to do" not in each] == []
    placed = sorted(chain.from_iterable(task.files for task in plan.tasks))
    assert placed == [each.path for each in findings.files]
    assert sum(len(plan.tasks_of(wave.number)) for wave in plan.waves) == len(plan.tasks)
    from_yaml = read(dump_yaml(document))
    assert from_yaml.tasks == plan.tasks
    assert from_yaml.waves == plan.waves


@given(sizes)
def test_totals_as_they_are_written_are_believed(total_bytes: int) -> None:
    batch = {"batch_id": "a", "tier": 1, "memory": total_bytes}
    wave = {"wave_number": 1, "memory_needed": human_size(total_bytes), "batches": [batch]}
    assert read(json.dumps({"waves": [wave]})).warnings == ()


PLAN = {"waves": [{"wave_number": 1, "batches": [{"batch_id": "a", "task_prompt": 'Say {"waves": []}\nand go.\n'}]}]}


@pytest.mark.parametrize(
    ("raw", "source"),
    [
        (dump_yaml(PLAN), "standard input"),
        (f"# made by hand\n{dump_yaml(PLAN)}", "/dev/fd/63"),
        (f'"waves": {json.dumps(PLAN["waves"])}', "plan.yml"),
        (json.dumps(PLAN), "plan.yaml"),
        (f"planned: 1\nwaves:\n{json.dumps(PLAN)}", "banner"),
    ],
)
def test_yaml_is_known_by_its_name_or_by_its_list_of_waves(raw: str, source: str) -> None:
    assert [task.prompt for task in read(raw, source).tasks] == ['Say {"waves": []}\nand go.\n']


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("waves:\n- wave_number: 1\n  wave_number: 2\n", "the key 'wave_number' stands twice"),
        ("waves: [", "valid YAML"),
        ("tasks: []", "a list of waves"),
        ("waves:\n- {x: !!timestamp 2001-01-01}\n", "YAML that JSON could not say"),
        ("waves:\n- {x: !!float .nan}\n", "YAML that JSON could not say"),
        ("waves:\n- &a [*a]\n", "YAML"),
        ("", "nothing"),
    ],
)
def test_yaml_that_is_no_plan_is_refused(raw: str, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        read(raw, "plan.yaml")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@given(
    json_values | st.sampled_from(["0o17", "1e5", "22:22", "yes", "~", "<<", "", "a \n\n", "\n", "# x\ny", "a\r\nb"])
)
def test_yaml_is_read_back_as_it_was(value: object) -> None:
    again = load_yaml(dump_yaml(value).encode())
    assert json.dumps(again) == json.dumps(value)
