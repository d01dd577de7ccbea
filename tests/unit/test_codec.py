"""Every kind of fact survives the way to bytes and back, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.core import facts
from wavepool.core.facts import Fact
from wavepool.core.fixes.values import Checked, Worked
from wavepool.errors import InvariantBroken
from wavepool.journal import codec
from wavepool.model import (
    Act,
    AgentOrder,
    AgentReport,
    AttemptId,
    Bound,
    Evidence,
    Finding,
    Healthcheck,
    Limits,
    Node,
    Resources,
    Rules,
    Sidecar,
    Surroundings,
    Task,
    Watchdog,
    WatchdogRule,
    Wave,
)

NOW = datetime(2026, 11, 20, 23, 15, 30, 123456, tzinfo=UTC)
KINDS: tuple[type, ...] = get_args(Fact)

# Any text at all, lone surrogates included: paths and daemons' words are not always Unicode.
text = st.text(st.characters(), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
numbers_that_are_checked_before = st.floats(allow_nan=False, allow_infinity=False)

optional_numbers = st.none() | numbers_that_are_checked_before

for kind, strategy in {
    str: text,
    datetime: st.datetimes(timezones=st.just(UTC)),
    Limits: st.builds(
        Limits,
        memory_bytes=st.integers(min_value=1, max_value=2**63 - 1),
        cpus=st.none() | numbers_that_are_checked_before,
        pids=st.none() | st.integers(min_value=1),
        lifetime_s=st.none() | numbers_that_are_checked_before,
    ),
    Bound: st.builds(Bound, threshold=numbers_that_are_checked_before, act=st.from_type(Act)),
    Finding: st.builds(
        Finding,
        rule=st.from_type(WatchdogRule),
        reading=numbers_that_are_checked_before,
        threshold=numbers_that_are_checked_before,
    ),
}.items():
    st.register_type_strategy(kind, strategy)
bounds = st.none() | st.from_type(Bound)
watchdogs = st.builds(Watchdog, lifetime_s=bounds, pids=bounds, memory=bounds, no_progress_s=bounds)
st.register_type_strategy(
    Healthcheck,
    st.builds(
        Healthcheck,
        test=st.lists(text, max_size=3).map(tuple),
        interval_s=st.none() | numbers_that_are_checked_before,
        retries=st.none() | st.integers(min_value=1),
    ),
)
st.register_type_strategy(
    Sidecar,
    st.builds(
        Sidecar,
        command=st.none() | st.lists(text, max_size=3).map(tuple),
        env=st.dictionaries(text, text, max_size=3),
        stop_grace_s=st.none() | numbers_that_are_checked_before,
    ),
)
st.register_type_strategy(
    Task,
    st.builds(
        Task,
        timeout_s=st.none() | numbers_that_are_checked_before,
        extra=st.dictionaries(text, json_values, max_size=3),
        env=st.dictionaries(text, text, max_size=3),
        files=st.lists(text, max_size=3).map(tuple),
        command=st.none() | st.lists(text, max_size=3).map(tuple),
        image=st.none() | text,
        prompt=text,
        depends_on=st.lists(text, max_size=2).map(tuple),
        sidecars=st.lists(st.from_type(Sidecar), max_size=2).map(tuple),
        commands=st.lists(st.lists(text, max_size=2).map(tuple), max_size=2).map(tuple),
        watchdog=st.none() | watchdogs,
    ),
)
st.register_type_strategy(
    Evidence,
    st.builds(
        Evidence,
        reason=text,
        exit_code=st.none() | st.integers(),
        rule=st.none() | st.from_type(WatchdogRule),
        reading=optional_numbers,
        threshold=optional_numbers,
    ),
)
st.register_type_strategy(
    Rules,
    st.builds(
        Rules,
        nodes=st.lists(st.from_type(Node), max_size=2).map(tuple),
        grace_s=numbers_that_are_checked_before,
        wave_timeout_s=st.none() | numbers_that_are_checked_before,
        task_timeout_s=st.none() | numbers_that_are_checked_before,
        watchdog=watchdogs,
    ),
)
st.register_type_strategy(float, st.floats(allow_nan=False))


def all_fields(kind: type, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Instances with every field drawn, defaults included."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: st.from_type(hints[field.name]) for field in fields(kind)} | known)


st.register_type_strategy(AgentReport, all_fields(AgentReport, cost_usd=optional_numbers))
st.register_type_strategy(Checked, all_fields(Checked, took_s=numbers_that_are_checked_before))
st.register_type_strategy(
    Worked,
    all_fields(Worked, took_s=numbers_that_are_checked_before, cost_usd=numbers_that_are_checked_before),
)
st.register_type_strategy(AgentOrder, all_fields(AgentOrder, max_cost_usd=optional_numbers))


def assert_same(one: object, other: object) -> None:
    """Equal, and of the same types all the way down (1 == 1.0 == True, and a NamedTuple equals a tuple)."""
    if isinstance(one, float) and not isinstance(other, bool) and isinstance(other, float | int):
        assert float(other) == one
        return
    if isinstance(one, Mapping):  # whatever mapping went in, a dict comes out
        one = dict(one)
    assert type(one) is type(other), (one, other)
    if is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    else:
        assert one == other


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_comes_back_as_it_was(kind: type) -> None:
    @settings(max_examples=40, deadline=None)
    @given(all_fields(kind))
    def comes_back(fact: Fact) -> None:
        data = codec.encode(fact)
        data.decode("utf-8")
        assert_same(fact, codec.decode(data))

    comes_back()


def tasks_added(**batch: Any) -> facts.TasksAdded:
    task = Task(id="a", key="a", wave=1, tier=1, limits=Limits(memory_bytes=6 << 20), **batch)
    return facts.TasksAdded(waves=(Wave(number=1),), tasks=(task,))


@pytest.mark.parametrize(
    "fact",
    [
        tasks_added(extra={"deep": [{"n": 2**70, "x": float("inf")}, None, True]}),
        tasks_added(extra={"one": 1, "float": 1.0, "minus": -0.0}),
        tasks_added(prompt="lone \ud800, escaped \\ud800, NUL \0, \U0001f30a", env={"": "\udcff"}),
        facts.WaveOpened(wave=1, deadline_s=float("inf"), at=NOW),
        facts.WaveOpened(wave=1, deadline_s=None, at=NOW),
    ],
)
def test_what_strict_json_cannot_hold_comes_back_too(fact: Fact) -> None:
    assert_same(fact, codec.decode(codec.encode(fact)))


def test_any_mapping_is_written() -> None:
    surroundings = Surroundings(image="i", workspace="/w\udcff", network="n", env=MappingProxyType({"A": "1"}))
    opened = facts.RunOpened(
        run_id="r",
        owner="o",
        rules=Rules(nodes=(Node(name="local", capacity=Resources(1)),)),
        surroundings=surroundings,
        driver="docker",
        execution_mode="docker",
        plan_digest="",
        boot_id="",
        at=NOW,
    )
    back = codec.decode(codec.encode(opened))
    assert isinstance(back, facts.RunOpened)
    assert back.surroundings.env == {"A": "1"}
    assert back.surroundings.workspace == "/w\udcff"


def test_bytes_are_json_a_person_can_read() -> None:
    fact = facts.StartIntended(attempt=AttemptId("ä", 1), node=0, held=Resources(5, 6), at=NOW, at_s=7.5)
    assert codec.encode(fact).decode() == (
        '["StartIntended",1,{"attempt":["ä",1],"node":0,"held":[5,6],"at":"2026-11-20T23:15:30.123456Z","at_s":7.5}]'
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'["PoolResized",1,{}]', "unknown kind PoolResized"),
        (b'["TaskSettled",2,{"task_id":"a"}]', "version 2"),
        (b'{"kind":"PoolResized","version":1,"fields":{}}', "unknown kind PoolResized"),
        (b'{"kind":"TaskSettled","version":2,"fields":{"task_id":"a"}}', "version 2"),
        (b'["TaskSettled",1,{}]', "task_id"),
        (b'["TaskSettled",1,{"task_id":5}]', "task_id"),
        (b'["TaskSettled",1', "not a fact"),
        (b'{"kind":"TaskSettled"', "not a fact"),
        (b"{}", "not a fact"),
        (b"{\xff", "not a fact"),
        (b"", "not a fact"),
        (b"null", "not a fact"),
    ],
)
def test_what_is_no_fact_of_ours_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(codec.Undecodable, match=words):
        codec.decode(data)


@given(st.binary(max_size=60))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(codec.Undecodable):
        codec.decode(data)


def test_a_field_that_a_later_release_added_is_passed_over() -> None:
    assert codec.decode(b'["TaskSettled",1,{"task_id":"a","colour":"red"}]') == facts.TaskSettled(task_id="a")


def test_what_is_no_fact_is_not_written() -> None:
    with pytest.raises(InvariantBroken, match="Limits"):
        codec.encode(Limits(memory_bytes=5))  # type: ignore[arg-type]
    with pytest.raises(InvariantBroken, match="TasksAdded"):
        codec.encode(tasks_added(extra={"x": object()}))
