"""Subnets of our own: each fits, none overlaps what is taken, and many names seldom meet."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.drivers.docker.networks.subnets import candidates, prefix_for, routed
from wavepool.inputs.subnets import DEFAULT_SUBNET_POOL, parse_subnet_pool, subnet_pool_problem

POOLS = parse_subnet_pool(DEFAULT_SUBNET_POOL)
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
vpn\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
"""


@given(st.integers(min_value=1, max_value=4000))
def test_a_subnet_has_room_for_its_containers_and_three_more(containers: int) -> None:
    prefix = prefix_for(containers)
    assert 2 ** (32 - prefix) >= containers + 3
    assert prefix == 28 or 2 ** (31 - prefix) < containers + 3


@given(st.text(), st.integers(min_value=1, max_value=100))
def test_every_subnet_of_a_pool_comes_once(name: str, containers: int) -> None:
    pool = (IPv4Network("10.213.0.0/22"),)
    found = list(candidates(pool, name, containers, []))
    assert sum(each.num_addresses for each in found) == pool[0].num_addresses
    assert len(set(found)) == len(found)
    assert all(each.subnet_of(pool[0]) for each in found)


@given(st.text(), st.sets(st.integers(min_value=0, max_value=1023), max_size=30))
def test_what_is_taken_is_never_offered(name: str, places: set[int]) -> None:
    pool = (IPv4Network("10.213.0.0/18"),)
    taken = [IPv4Network((int(pool[0].network_address) + place * 16, 28)) for place in places]
    found = set(candidates(pool, name, 3, taken))
    assert len(found) == 1024 - len(taken)
    assert not any(each in found for each in taken)


def test_a_pool_that_the_host_routes_elsewhere_is_passed_over() -> None:
    first = next(candidates(POOLS, "x", 3, [IPv4Network("10.0.0.0/8")]))
    assert first.subnet_of(POOLS[1])
    assert list(candidates(POOLS, "x", 3, [IPv4Network("0.0.0.0/1"), IPv4Network("128.0.0.0/1")])) == []


def test_many_names_seldom_begin_at_the_same_place() -> None:
    firsts = [next(candidates(POOLS, f"cfn-wave1-task-{number}", 2, [])) for number in range(100)]
    assert len(set(firsts)) >= 95


def test_routes_are_read_without_the_default_one(tmp_path: Path) -> None:
    path = tmp_path / "route"
    path.write_text(ROUTES)
    assert routed(path) == [IPv4Network("172.17.0.0/16"), IPv4Network("10.0.0.0/8")]
    assert routed(tmp_path / "missing") == []


@pytest.mark.parametrize("text", ["", "x", "8.8.8.0/24", "10.0.0.0/29", "10.0.0.1/16", "10.0.0.0/16,"])
def test_a_pool_that_is_none_is_refused(text: str) -> None:
    assert subnet_pool_problem(text) is not None
