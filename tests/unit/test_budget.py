"""How much running attempts may hold together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.budget import RESERVE_MIN_BYTES, budget_nodes
from wavepool.errors import SettingError
from wavepool.model import Node, Resources
from wavepool.units import GIB, TIB

HOST = (Node(name="local", capacity=Resources(24 * GIB, 2000)),)


def test_auto_is_what_the_host_has_left_less_a_reserve() -> None:
    (node,) = budget_nodes("auto", HOST, 10 * GIB)
    assert node.capacity == Resources(10 * GIB - round(10 * GIB * 0.05), 2000)


def test_auto_on_a_host_with_nothing_left_is_nothing() -> None:
    (node,) = budget_nodes("auto", HOST, RESERVE_MIN_BYTES // 2)
    assert node.capacity.memory_bytes == 0


def test_a_size_is_taken_as_it_is_however_much_is_free() -> None:
    (node,) = budget_nodes(20 * GIB, HOST, GIB)
    assert node.capacity.memory_bytes == 20 * GIB


def test_more_than_the_host_has_is_refused_with_what_it_has() -> None:
    with pytest.raises(SettingError, match=r"--budget: got '40.0GB', expected at most what the host has, 24.0GB"):
        budget_nodes(40 * GIB, HOST, 10 * GIB)


@given(
    sizes=st.lists(st.integers(GIB, TIB), min_size=1, max_size=8),
    share=st.floats(0.01, 1),
)
def test_over_several_nodes_a_size_is_shared_out_and_none_gets_more_than_it_has(sizes: list[int], share: float) -> None:
    nodes = tuple(Node(name=str(i), capacity=Resources(size)) for i, size in enumerate(sizes))
    budget = max(1, int(sum(sizes) * share))
    shared = budget_nodes(budget, nodes, 0)
    assert budget - len(nodes) <= sum(node.capacity.memory_bytes for node in shared) <= budget
    assert all(
        mine.capacity.memory_bytes <= host.capacity.memory_bytes for mine, host in zip(shared, nodes, strict=True)
    )
