"""Plans that are good, in every shape that people and tools write them."""

from __future__ import annotations

import json
from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.errors import PlanError
from wavepool.plan import Plan, TierMap, limit_policy, parse_plan
from wavepool.units import GIB, MIB, format_size, parse_size

SEED_PLAN = {
    "waves": [
        {
            "wave_number": 1,
            "batch_count": 1,
            "memory_needed": "512m",
            "parallelism": 28,
            "batches": [
                {
                    "batch_id": "iter1-batch-1",
                    "tier": 1,
                    "memory": "512m",
                    "files": ["src/Button.tsx"],
                    "task_prompt": "Fix TypeScript errors in Button.tsx",
                }
            ],
        }
    ]
}


def parse(document: object, **options: object) -> Plan:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_plan(raw, source="plan.json", **({"tiers": TierMap()} | options))  # type: ignore[arg-type]


def wave(*batches: object, number: int = 1, **fields: object) -> dict[str, object]:
    return {"wave_number": number, "batches": list(batches), **fields}


def one(**fields: object) -> dict[str, object]:
    return {"waves": [wave({"batch_id": "a", **fields})]}


def test_the_seeds_plan_becomes_one_task() -> None:
    raw = json.dumps(SEED_PLAN).encode()
    plan = parse(raw)
    (task,) = plan.tasks
    assert (task.id, task.key, task.wave, task.tier) == ("iter1-batch-1", "iter1-batch-1", 1, 1)
    assert task.limits.memory_bytes == 512 * MIB
    assert task.prompt == "Fix TypeScript errors in Button.tsx"
    assert task.files == ("src/Button.tsx",)
    assert task.command is None
    assert task.timeout_s is None
    assert plan.wave(1).parallelism == 28
    assert plan.digest == sha256(raw).hexdigest()
    assert plan.warnings == ()


@pytest.mark.parametrize(
    "raw",
    [
        b'\xef\xbb\xbf{"waves": [{"wave_number": 1, "batches": [{"batch_id": "a"}]}]}',
        b'Batching: 3 files {ok}\n[info] done {"a" b}\n{"waves": [{"wave_number": 1, "batches": [{"batch_id": "a"}]}]}',
        b'{"waves": [{"wave_number": 1, "batches": [{"batch_id": "a"}]}]}\nSaved to {out}. Bye } ]\n',
        b'{"level": "info", "msg": "a log line"}\n{"waves": [{"wave_number": 1, "batches": [{"batch_id": "a"}]}]}',
        b'{"note": "x", "waves": {"total": 1, "waves": [{"wave_number": 1, "batches": [{"batch_id": "a"}]}]}}',
        b'\r\n\t {"waves":[{"wave_number":1,"batches":[{"batch_id":"\\u0061"}]}]} \r\n',
    ],
    ids=["bom", "banner before", "banner after", "log line before", "waves in waves", "blanks"],
)
def test_wrappings_are_taken_off(raw: bytes) -> None:
    assert [task.id for task in parse(raw).tasks] == ["a"]


def test_a_batch_may_say_how_it_runs() -> None:
    (task,) = parse(
        one(
            command="make test && echo 'ä'",
            image="node:22",
            env={"PORT": 80, "RATIO": 0.5, "ON": True, "TEXT": "a=b"},
            timeout="1m30s",
            error_count=7,
            coordination_note="after the lint",
            owner={"team": ["x", None]},
        )
    ).tasks
    assert task.command == ("/bin/sh", "-c", "make test && echo 'ä'")
    assert task.image == "node:22"
    assert task.env == {"PORT": "80", "RATIO": "0.5", "ON": "true", "TEXT": "a=b"}
    assert task.timeout_s == 90
    assert task.extra == {"error_count": 7, "coordination_note": "after the lint", "owner": {"team": ["x", None]}}
    assert task.prompt == "Fix errors in assigned files"
    assert parse(one(command=["/bin/true", ""])).tasks[0].command == ("/bin/true", "")
    assert parse(one(timeout=1.5)).tasks[0].timeout_s == 1.5


def test_extras_that_are_equal_but_not_the_same_stay_apart() -> None:
    batches = [{"batch_id": str(n), "x": value} for n, value in enumerate([1, True, 1.0, 1, [1], "1"])]
    kept = [task.extra["x"] for task in parse({"waves": [wave(*batches)]}).tasks]
    assert [(type(value), value) for value in kept] == [
        (int, 1),
        (bool, True),
        (float, 1.0),
        (int, 1),
        (list, [1]),
        (str, "1"),
    ]


def test_null_is_as_good_as_missing() -> None:
    names = ["tier", "memory", "files", "task_prompt", "command", "image", "env", "timeout", "depends_on"]
    assert parse(one(**dict.fromkeys(names))).tasks == parse(one()).tasks


@pytest.mark.parametrize("odd", ["../../x", "-x", "a\nb", "a\tb", "ünï☃", "😀", " ", "$(rm -rf /)", "x" * 256, "."])
def test_odd_ids_are_kept_and_get_a_safe_key(odd: str) -> None:
    (task,) = parse({"waves": [wave({"batch_id": odd})]}).tasks
    assert task.id == odd
    assert task.key not in {odd, "."}


def test_waves_go_by_number_and_paths_by_place() -> None:
    plan = parse(
        {"waves": {"waves": [wave({"batch_id": "c"}, number=30), wave(number=2), wave({"batch_id": "a"}, number=1)]}}
    )
    assert [each.number for each in plan.waves] == [1, 2, 30]
    assert [task.id for task in plan.tasks] == ["a", "c"]
    assert [plan.path_of(0), plan.path_of(1)] == ["waves.waves[2].batches[0]", "waves.waves[0].batches[0]"]
    assert [path for path, _ in plan.paths()] == [plan.path_of(0), plan.path_of(1)]
    assert plan.tasks_of(2) == ()
    assert plan.tasks_of(30) == plan.only(30).tasks == plan.tasks[1:]
    assert plan.only(30).path_of(0) == "waves.waves[0].batches[0]"


def test_a_wave_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(PlanError, match=r"--wave-number: got 7, expected one of the waves in plan.json: 1, 2"):
        parse({"waves": [wave(number=2), wave(number=1)]}).only(7)


def test_one_wave_alone_takes_its_dependencies_on_others_as_met() -> None:
    batches = [{"batch_id": "b", "depends_on": ["a", "c"]}, {"batch_id": "c"}]
    alone = parse({"waves": [wave({"batch_id": "a"}), wave(*batches, number=2)]}).only(2)
    assert alone.tasks[0].depends_on == ("c",)
    assert "taken as met" in alone.warnings[-1]


def test_an_empty_plan_and_an_empty_wave_only_warn() -> None:
    empty = parse({"waves": []})
    assert (empty.waves, empty.tasks, len(empty.warnings)) == ((), (), 1)
    assert parse({"waves": [wave(batch_count=0, memory_needed="0MB")]}).warnings == (
        "waves[0]: the wave has no batches",
    )


def test_wrong_totals_only_warn() -> None:
    batches = [{"batch_id": str(n), "memory": "512m"} for n in range(28)]
    count, total = parse({"waves": [wave(*batches, batch_count=27, memory_needed="14.5GB")]}).warnings
    assert count == "waves[0].batch_count: says 27, but the wave has 28 batches"
    assert total == "waves[0].memory_needed: says 14.5GB, but its batches add up to 14.0GB"
    assert parse({"waves": [wave(*batches, batch_count=28, memory_needed="14 GB")]}).warnings == ()
    assert parse({"waves": [wave(*batches, memory_needed="1g")]}, memory_override_bytes=8 * MIB).warnings == ()
    (unreadable,) = parse({"waves": [wave(*batches, memory_needed="plenty")]}).warnings
    assert "not a size" in unreadable


def test_warnings_are_bounded() -> None:
    warnings = parse({"waves": [wave(number=n) for n in range(1000)]}).warnings
    assert len(warnings) == 51
    assert warnings[-1] == "and 950 more warnings about this plan"


def test_equal_limits_are_one_object() -> None:
    batches = [{"batch_id": str(n), "memory": "0.5g" if n % 2 else "512m"} for n in range(10)]
    assert (
        len(
            {
                id(task.limits)
                for task in parse({"waves": [wave(*batches)]}, policy=limit_policy(cpus=2.0, pids=64)).tasks
            }
        )
        == 1
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8), lambda inner: st.lists(inner)
)
ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=256)
sizes = st.sampled_from([8 * MIB, 512 * MIB, GIB + 1, 3 * GIB])
batches = st.fixed_dictionaries(
    {"batch_id": ids},
    optional={
        "tier": st.integers(1, 4),
        "memory": sizes.map(format_size) | sizes,
        "files": st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=4),
        "task_prompt": st.text(st.characters(exclude_categories=["Cs"])),
        "command": st.lists(st.text("abc /'\"$;", min_size=1), min_size=1, max_size=3),
        "timeout": st.integers(1, 10**6),
        "note": json_values,
    },
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(batches, max_size=12, unique_by=lambda batch: batch["batch_id"]),
    st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True),
    st.booleans(),
)
def test_a_generated_plan_parses_to_what_was_generated(
    made: list[dict[str, object]], numbers: list[int], ascii_only: bool
) -> None:
    waves = [wave(*made[place :: len(numbers)], number=number) for place, number in enumerate(numbers)]
    plan = parse(json.dumps({"waves": waves}, ensure_ascii=ascii_only).encode())
    assert [each.number for each in plan.waves] == sorted(numbers)
    expected = [batch for each in sorted(waves, key=lambda w: w["wave_number"]) for batch in each["batches"]]  # type: ignore[arg-type, return-value, attr-defined]
    assert [task.id for task in plan.tasks] == [batch["batch_id"] for batch in expected]
    assert len({task.key for task in plan.tasks}) == len(made)
    for index, (task, batch) in enumerate(zip(plan.tasks, expected, strict=True)):
        assert task.prompt == batch.get("task_prompt", "Fix errors in assigned files")
        assert list(task.files) == batch.get("files", [])
        assert task.command == (tuple(batch["command"]) if "command" in batch else None)
        assert task.timeout_s == batch.get("timeout")
        assert dict(task.extra) == {"note": batch["note"]} if "note" in batch else not task.extra
        if "memory" in batch:
            assert task.limits.memory_bytes == parse_size(batch["memory"])  # type: ignore[arg-type]
        root, place = plan.path_of(index).split(".")
        position = int(root.removeprefix("waves[").removesuffix("]"))
        assert waves[position]["batches"][int(place[8:-1])] is batch  # type: ignore[index]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_random_bytes_are_a_plan_error_or_a_plan(raw: bytes) -> None:
    with suppress(PlanError):
        parse(raw)


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "waves",
                    "batches",
                    "wave_number",
                    "batch_id",
                    "memory",
                    "tier",
                    "env",
                    "files",
                    "depends_on",
                    "batch_count",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None)
@given(any_json, st.sampled_from(["document", "waves", "wave", "batch"]))
def test_random_json_is_a_plan_error_or_a_plan(value: object, place: str) -> None:
    document = {
        "document": value,
        "waves": {"waves": value},
        "wave": {"waves": [value]},
        "batch": {"waves": [wave(value)]},
    }[place]
    with suppress(PlanError):
        parse(document)


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("lifetme", "lifetime"),
        ("liftime", "lifetime"),
        ("lifetimes", "lifetime"),
        ("task_promt", "task_prompt"),
        ("dependsOn", "depends_on"),
        ("depends-on", "depends_on"),
        ("Memory", "memory"),
        ("mmeory", "memory"),
        ("file", "files"),
        ("comand", "command"),
        ("error_cuont", "error_count"),
        ("pdis", "pids"),
    ],
)
def test_a_field_that_is_nearly_one_of_ours_is_kept_and_told(name: str, best: str) -> None:
    plan = parse(one(**{name: "x"}))
    told = f"waves[0].batches[0].{name}: no field of batch 'a', so it changes nothing; did you mean {best}?"
    assert plan.warnings == (told,)
    assert plan.tasks[0].extra == {name: "x"}


@pytest.mark.parametrize(
    "name", ["team", "id", "name", "x-lifetime-of-mine", "priority", "error_count", "coordination_note", "l" * 5000]
)
def test_other_fields_that_we_do_not_know_are_kept_in_silence(name: str) -> None:
    value: object = 1 if name == "error_count" else "x"
    plan = parse(one(**{name: value}))
    assert plan.warnings == ()
    assert plan.tasks[0].extra == {name: value}


def test_misspelt_fields_of_waves_and_of_the_plan_are_told_with_their_place() -> None:
    document = {"sidecar": {}, "waves": [wave({"batch_id": "a"}, number=7, paralellism=2, agent_count=3)], "notes": []}
    assert parse(document).warnings == (
        "sidecar: no field of the plan, so it changes nothing; did you mean sidecars?",
        "waves[0].paralellism: no field of wave 7, so it changes nothing; did you mean parallelism?",
    )
    (nested,) = parse({"waves": {"waves": [wave({"batch_id": "a"})], "side_cars": {}}}).warnings
    assert nested.startswith("waves.side_cars: ")
