"""Plans that are wrong: each is refused with the path, the value and what was expected."""

from __future__ import annotations

import json

import pytest

from wavepool.errors import PlanError
from wavepool.model import Node, Resources, Schedule
from wavepool.plan import Plan, TierMap, check_capacity, check_schedule, limit_policy, parse_plan
from wavepool.units import GIB, MIB


def parse(document: object, **options: object) -> Plan:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_plan(raw, source="plan.json", **({"tiers": TierMap()} | options))  # type: ignore[arg-type]


def refused(document: object, **options: object) -> PlanError:
    with pytest.raises(PlanError) as caught:
        parse(document, **options)
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) < 700
    return caught.value


def plan_of(*batches: object) -> dict[str, object]:
    return {"waves": [{"wave_number": 1, "batches": list(batches)}]}


GOOD = json.dumps(plan_of({"batch_id": "a", "files": ["x.ts"]}))


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        (b"", "plan.json", "empty file"),
        (b" \n\t", "plan.json", "empty file"),
        (b"\xef\xbb\xbf", "plan.json", "empty file"),
        (b"not json at all", "plan.json", "JSON object with a list of waves"),
        (b"12", "plan.json", "JSON object"),
        (b"{}", "waves", "a list of waves"),
        (b'{"plan": []}', "waves", "a list of waves"),
        (b"[]", "plan.json", "a JSON list"),
        (f"[{GOOD}]".encode(), "plan.json", "a JSON list"),
        (b"{'waves': []}", "plan.json, line 1, column 2", "valid JSON"),
        (b'{"waves": [\n  {"wave_number": 1,, "batches": []}]}', "plan.json, line 2, column 21", "valid JSON"),
        (GOOD.encode("utf-16"), "plan.json", "iconv -f UTF-16 -t UTF-8"),
        (GOOD.encode("utf-16-le"), "plan.json", "iconv -f UTF-16 -t UTF-8"),
        (GOOD.encode("utf-16-be"), "plan.json", "iconv -f UTF-16 -t UTF-8"),
        (GOOD.encode("utf-32"), "plan.json", "iconv -f UTF-32 -t UTF-8"),
        (b'{"waves": [], "x": "\xe4"}', "plan.json", "byte 0xe4 at offset 20"),
        (b'{"waves": [' * 100_000, "plan.json", "nested too deeply"),
        (b'{"waves": [], "x": ' + b"9" * 10_000 + b"}", "plan.json", "too many digits"),
    ],
)
def test_files_that_hold_no_plan(raw: bytes, path: str, message: str) -> None:
    error = refused(raw)
    assert error.path == path
    assert message in str(error)


@pytest.mark.parametrize("length", range(1, len(GOOD)))
def test_a_truncated_plan_is_always_refused(length: int) -> None:
    error = refused(GOOD[:length].encode())
    assert "cut off" in str(error)
    assert "cut off" in str(refused(f"banner {{x}}\n{GOOD[:length]}\n".encode())) or length < 9


@pytest.mark.parametrize(
    ("raw", "path", "value"),
    [
        (b'{"waves": [], "waves": []}', "waves", "waves"),
        (b'{"waves": [{"wave_number": 1, "batches": [], "wave_number": 2}]}', "waves[0].wave_number", "wave_number"),
        (
            b'{"waves": [{"wave_number": 1, "batches": [{"batch_id": "a", "env": {"A": 1, "A": 1}}]}]}',
            "waves[0].batches[0].env.A",
            "A",
        ),
        (b'{"waves": [{"wave_number": 1, "batches": [{"batch_id": "a", "timeout": NaN}]}]}', None, "NaN"),
        (b'{"waves": [{"wave_number": 1, "batches": [{"batch_id": "a", "timeout": -Infinity}]}]}', None, "-Infinity"),
        (b'{"waves": [{"wave_number": 1, "batches": [{"batch_id": "a", "timeout": 1e400}]}]}', None, "1e400"),
    ],
)
def test_duplicate_keys_and_numbers_that_are_none(raw: bytes, path: str | None, value: str) -> None:
    error = refused(raw)
    assert error.path == (path or "waves[0].batches[0].timeout")
    assert error.value == value


@pytest.mark.parametrize("field", ["batch_id", "task_prompt", "image", "command", "note"])
def test_lone_surrogates_have_no_bytes_and_are_refused(field: str) -> None:
    error = refused(plan_of({"batch_id": "a"} | {field: "x\ud800"}))
    assert error.path == f"waves[0].batches[0].{field}"
    key = refused(plan_of({"batch_id": "a", "env": {"\udc00": "x"}}))
    assert "surrogates" in key.expected


@pytest.mark.parametrize(
    ("batch", "path"),
    [
        (None, ""),
        ([], ""),
        ({}, "batch_id"),
        ({"batch_id": ""}, "batch_id"),
        ({"batch_id": "x" * 257}, "batch_id"),
        ({"batch_id": "x" * 10_240}, "batch_id"),
        ({"batch_id": "a\0b"}, "batch_id"),
        ({"batch_id": 7}, "batch_id"),
        ({"tier": 0}, "tier"),
        ({"tier": 5}, "tier"),
        ({"tier": "1"}, "tier"),
        ({"tier": True}, "tier"),
        ({"tier": 1.0}, "tier"),
        ({"memory": "-1"}, "memory"),
        ({"memory": -1}, "memory"),
        ({"memory": "0"}, "memory"),
        ({"memory": 0}, "memory"),
        ({"memory": "NaN"}, "memory"),
        ({"memory": "1e9g"}, "memory"),
        ({"memory": "512q"}, "memory"),
        ({"memory": ""}, "memory"),
        ({"memory": "5m"}, "memory"),
        ({"memory": 6 * MIB - 1}, "memory"),
        ({"memory": 1e9}, "memory"),
        ({"memory": True}, "memory"),
        ({"memory": 10**400}, "memory"),
        ({"memory": ["512m"]}, "memory"),
        ({"files": "a.ts"}, "files"),
        ({"files": ["a.ts", 1]}, "files[1]"),
        ({"task_prompt": ["x"]}, "task_prompt"),
        ({"command": ""}, "command"),
        ({"command": []}, "command"),
        ({"command": [""]}, "command"),
        ({"command": ["a", 1]}, "command"),
        ({"command": {"a": 1}}, "command"),
        ({"command": "a\0b"}, "command"),
        ({"command": "x" * 200_000}, "command"),
        ({"image": ""}, "image"),
        ({"image": "a b"}, "image"),
        ({"image": "-v"}, "image"),
        ({"image": 1}, "image"),
        ({"env": ["A=1"]}, "env"),
        ({"env": {"A": None}}, "env.A"),
        ({"env": {"A": ["x"]}}, "env.A"),
        ({"env": {"A": "\0"}}, "env.A"),
        ({"env": {"": "x"}}, "env."),
        ({"env": {"1A": "x"}}, "env.1A"),
        ({"env": {"A=B": "x"}}, "env.A=B"),
        ({"env": {"LD_PRELOAD": "x"}}, "env.LD_PRELOAD"),
        ({"env": {"DOCKER_HOST": "x"}}, "env.DOCKER_HOST"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": 10**400}, "timeout"),
        ({"timeout": [1]}, "timeout"),
        ({"depends_on": 1}, "depends_on"),
        ({"depends_on": [1]}, "depends_on[0]"),
        ({"depends_on": "nobody"}, "depends_on"),
        ({"error_count": "3"}, "error_count"),
        ({"error_count": -1}, "error_count"),
        ({"coordination_note": 3}, "coordination_note"),
    ],
)
def test_wrong_fields_of_a_batch(batch: object, path: str) -> None:
    given = {"batch_id": "a"} | batch if isinstance(batch, dict) and batch else batch
    error = refused(plan_of({"batch_id": "first"}, given))
    assert error.path == ("waves[0].batches[1]." + path if path else "waves[0].batches[1]")
    assert error.expected


def test_a_field_that_we_do_not_know_may_not_nest_without_end() -> None:
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    assert refused(plan_of({"batch_id": "a", "note": deep})).path == "waves[0].batches[0].note"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"wave_number": None}, "wave_number"),
        ({"wave_number": "1"}, "wave_number"),
        ({"wave_number": True}, "wave_number"),
        ({"wave_number": -1}, "wave_number"),
        ({"wave_number": 1.0}, "wave_number"),
        ({"wave_number": 10**400}, "wave_number"),
        ({"batches": None}, "batches"),
        ({"batches": {}}, "batches"),
        ({"parallelism": 0}, "parallelism"),
        ({"parallelism": "28"}, "parallelism"),
        ({"parallelism": 10**400}, "parallelism"),
        ({"batch_count": "1"}, "batch_count"),
        ({"memory_needed": ["1g"]}, "memory_needed"),
    ],
)
def test_wrong_fields_of_a_wave(fields: dict[str, object], path: str) -> None:
    assert refused({"waves": [{"wave_number": 1, "batches": []} | fields]}).path == f"waves[0].{path}"


@pytest.mark.parametrize("waves", [None, {}, 1, "x", [1], [[]]])
def test_waves_of_the_wrong_type(waves: object) -> None:
    assert refused({"waves": waves}).path.startswith("waves")
    assert refused({"waves": {"waves": waves}}).path.startswith("waves.waves")


def test_an_id_or_a_wave_number_twice() -> None:
    error = refused(
        {
            "waves": [
                {"wave_number": 2, "batches": [{"batch_id": "a"}]},
                {"wave_number": 1, "batches": [{"batch_id": "b"}, {"batch_id": "a"}]},
            ]
        }
    )
    assert error.path == "waves[0].batches[0].batch_id"
    assert "waves[1].batches[1]" in error.expected
    assert refused(plan_of({"batch_id": "a"}, {"batch_id": "a"})).path == "waves[0].batches[1].batch_id"
    twice = refused({"waves": [{"wave_number": 1, "batches": []}, {"wave_number": 1, "batches": []}]})
    assert twice.path == "waves[1].wave_number"


def test_a_circle_is_named() -> None:
    needs = {"a": ["b"], "b": ["c", "d"], "c": [], "d": ["e", "b"], "e": []}
    error = refused(plan_of(*({"batch_id": name, "depends_on": on} for name, on in needs.items())))
    assert error.path == "waves[0].batches[1].depends_on"
    assert error.value == "b -> d -> b"
    assert refused(plan_of({"batch_id": "a", "depends_on": "a"})).value == "a -> a"


def test_a_long_circle_is_shortened_and_a_long_chain_is_fine() -> None:
    chain = [{"batch_id": str(n), "depends_on": [str(n + 1)]} for n in range(20_000)]
    assert len(parse(plan_of(*chain, {"batch_id": "20000"})).tasks) == 20_001
    error = refused(plan_of(*chain, {"batch_id": "20000", "depends_on": "0"}))
    assert error.value == "0 -> 1 -> 2 -> 3 -> 4 -> 5 -> 6 -> 7 -> … -> 0"


def test_barrier_refuses_a_dependency_on_a_later_wave_and_rolling_does_not() -> None:
    plan = parse(
        {
            "waves": [
                {"wave_number": 2, "batches": [{"batch_id": "late"}]},
                {"wave_number": 1, "batches": [{"batch_id": "early", "depends_on": "late"}]},
            ]
        }
    )
    check_schedule(plan, Schedule.ROLLING)
    with pytest.raises(PlanError) as caught:
        check_schedule(plan, Schedule.BARRIER)
    assert (caught.value.path, caught.value.value) == ("waves[1].batches[0].depends_on", "late")
    check_schedule(plan.only(1), Schedule.BARRIER)


def test_a_task_that_fits_nowhere_is_refused_with_what_would_fit() -> None:
    plan = parse(
        plan_of({"batch_id": "a", "memory": "1g"}, {"batch_id": "b", "memory": "3g"}), policy=limit_policy(cpus=2.0)
    )
    small = Node(name="small", capacity=Resources(GIB, 4000))
    check_capacity(plan, [small, Node(name="large", capacity=Resources(3 * GIB))])
    with pytest.raises(PlanError) as caught:
        check_capacity(plan, [small, Node(name="large", capacity=Resources(3 * GIB - 1))])
    assert caught.value.path == "waves[0].batches[1].memory"
    assert caught.value.value == "3g"
    assert "large" in caught.value.expected
    with pytest.raises(PlanError, match=r"1\.5, the whole CPU budget"):
        check_capacity(plan, [Node(name="slow", capacity=Resources(3 * GIB, 1500))])
    with pytest.raises(PlanError, match="there is none"):
        check_capacity(plan, [])


@pytest.mark.parametrize(
    "raw", [b'{"' * 200_000, b'{"a":' * 200_000, b'{"\\"' * 100_000, b"{ " * 200_000, b"\\" * 10**6]
)
def test_hostile_text_is_refused_in_linear_time(raw: bytes) -> None:
    refused(raw)
