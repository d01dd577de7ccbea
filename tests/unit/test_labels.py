"""Names and labels: safe, stable, different where what they name is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool import labels
from wavepool.labels import attempt_labels, container_name, is_ours, task_key, wave_network_name
from wavepool.model import Limits, Task
from wavepool.units import MIB

SAFE_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")
CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")

ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=256)
near_ids = st.text("aA-_.x0 /", min_size=1, max_size=60)


@given(ids | near_ids)
def test_a_key_is_safe_and_stable(task_id: str) -> None:
    assert SAFE_KEY.fullmatch(task_key(task_id))
    assert task_key(task_id) == task_key(task_id)


@given(st.sets(ids | near_ids, max_size=30))
def test_keys_differ_where_ids_do(task_ids: set[str]) -> None:
    assert len({task_key(task_id) for task_id in task_ids}) == len(task_ids)


@given(ids | near_ids)
def test_the_key_of_another_id_cannot_be_taken_as_an_id(task_id: str) -> None:
    key = task_key(task_id)
    assert key == task_id or task_key(key) != key


@pytest.mark.parametrize(
    ("task_id", "key"),
    [
        ("iter1-batch-1", "iter1-batch-1"),
        ("../../x", "x-x9cdf6a50100a862e"),
        ("Batch 1", "batch-1-xae328de29e4f1ac2"),
    ],
)
def test_keys_never_change_between_releases(task_id: str, key: str) -> None:
    assert task_key(task_id) == key


names = st.builds(
    dict, owner=st.text("0af", min_size=1), run_id=st.text("r-1", min_size=1), task_id=ids, wave=st.integers(0, 200)
)


@given(st.lists(names, min_size=2, max_size=8), st.integers(1, 3))
def test_container_names_are_derived_and_differ(made: list[dict[str, object]], attempt: int) -> None:
    distinct = {tuple(each.values()): container_name(**each, attempt=attempt) for each in made}  # type: ignore[arg-type]
    assert len(set(distinct.values())) == len(distinct)
    for each, name in zip(distinct, distinct.values(), strict=True):
        assert name.startswith(f"cfn-wave{each[3]}-")
        assert CONTAINER.fullmatch(name)
        assert len(name) <= 63 + len(labels.NAME_PREFIX)
        assert name != container_name(**made[0], attempt=attempt + 1)  # type: ignore[arg-type]


def test_a_waves_network_is_named_after_owner_run_and_wave() -> None:
    name = wave_network_name(owner="o", run_id="r", wave=1)
    assert name.startswith("cfn-wave1-net-")
    others = [("p", "r", 1), ("o", "s", 1), ("o", "r", 10)]
    assert name not in {wave_network_name(owner=owner, run_id=run, wave=wave) for owner, run, wave in others}


def test_the_seeds_labels_stand_beside_ours() -> None:
    task = Task(id="a b", key=task_key("a b"), wave=3, tier=2, limits=Limits(memory_bytes=600 * MIB))
    made = attempt_labels(owner="me", run_id="r", task=task, attempt=2, spec_hash="h", detached=True, lifetime_end_s=9)
    assert made["cfn.task.id"] == made["cfn.batch.id"] == made["wavepool.task"] == "a b"
    assert (made["cfn.wave.number"], made["cfn.tier"], made["cfn.memory.limit"]) == ("3", "2", "600m")
    assert (made["wavepool.attempt"], made["wavepool.detached"], made["wavepool.lifetime-end"]) == ("2", "true", "9")
    assert is_ours(made, "me")
    assert not is_ours(made, "you")
    assert not is_ours({}, "")
