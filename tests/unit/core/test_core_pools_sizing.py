"""How many a pool keeps ready: thresholds of utilisation, the base stock, and what is learned from arrivals."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.core.pools import Demand
from wavepool.core.pools.sizing import Thresholds, base_stock
from wavepool.model import PoolSettings
from wavepool.testing.pool_simulation import PoolOutcome, bursts, poisson, simulate_pool

# -- the base stock --


@given(st.floats(0.0, 30.0), st.integers(0, 60))
def test_the_base_stock_is_the_smallest_that_serves_the_goal(mean: float, limit: int) -> None:
    def served(stock: int) -> float:
        return sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(stock))

    stock = base_stock(mean, limit)
    assert stock <= limit
    assert stock == limit or served(stock) >= 0.99 - 1e-9
    assert stock <= 1 or served(stock - 1) < 0.99 + 1e-9


def test_a_demand_beyond_all_measure_is_the_limit() -> None:
    assert base_stock(1e9, 10) == 10
    assert base_stock(0.0, 10) == 1


# -- thresholds --


def thresholds(up: float = 80.0, down: float = 20.0) -> Thresholds:
    found = Thresholds(up_percent=up, down_percent=down, window_s=10.0)
    found.note(0.0, 0, 0)
    return found


def windows(found: Thresholds, *loads: tuple[int, int]) -> list[int]:
    """The steps at the ends of windows in which so many of so many were in use."""
    steps, now_s = [], 0.0
    for active, total in loads:
        now_s += 10.0
        found.note(now_s, active, total)
        assert found.due_in_s(now_s) == 0
        steps.append(found.step(now_s))
    return steps


def test_above_the_upper_threshold_it_grows_and_below_the_lower_it_shrinks() -> None:
    assert windows(thresholds(), (5, 6), (4, 5), (1, 5), (1, 6)) == [1, 0, 0, 0]
    assert windows(thresholds(), (1, 5), (1, 6)) == [0, -1]


def test_the_average_of_the_window_counts() -> None:
    found = thresholds()
    found.note(1.0, 5, 5)  # one second of everything in use
    found.note(10.0, 0, 5)
    assert found.step(10.0) == -1


def test_it_does_not_go_to_and_fro() -> None:
    assert windows(thresholds(), (9, 10), (1, 11), (1, 11), (1, 11), (1, 11)) == [1, 0, 0, 0, -1]
    near = thresholds(up=60.0, down=55.0)
    assert windows(near, (1, 2), (1, 2)) == [0, 0]  # one less would be 100 % in use


def test_what_is_not_asked_for_changes_nothing() -> None:
    assert windows(thresholds(), (0, 5), (0, 5), (0, 0)) == [0, 0, 0]


# -- the demand --


def test_a_few_arrivals_tell_the_rate_and_silence_lowers_it() -> None:
    demand = Demand(10)
    demand.led(1.0)
    for number in range(4):
        demand.arrived(number * 0.5)
    assert demand.rate_per_s(1.5) is None
    demand.arrived(2.0)
    assert demand.rate_per_s(2.0) == pytest.approx(2.0)
    assert demand.by_rate(2.0) == base_stock(2.0, 10)
    assert demand.rate_per_s(12.0) == pytest.approx(0.1)


def test_a_burst_is_known_from_then_on_and_forgotten_as_others_come() -> None:
    demand = Demand(20)
    demand.led(0.5)
    for _ in range(8):
        demand.arrived(0.0)
    assert demand.by_backlog() == 8
    for number in range(1, 2000):
        demand.arrived(number * 10.0)
    assert demand.by_backlog() == demand.wanted(20_000.0) == 1


def test_a_refiller_that_is_nearly_busy_needs_more_than_the_rate_says() -> None:
    demand, random, now_s = Demand(50), Random(3), 0.0
    demand.led(1.0)
    for _ in range(3000):
        now_s += random.expovariate(0.9)
        demand.arrived(now_s)
    assert demand.wanted(now_s) > 2 * base_stock(0.9, 50)


def test_what_was_not_needed_for_long_is_clipped() -> None:
    demand = Demand(20)
    demand.led(0.5)
    for _ in range(8):
        demand.arrived(0.0)
    demand.clip(3)
    assert demand.by_backlog() == 3
    demand.clip(3)
    demand.forget()
    assert (demand.by_backlog(), demand.wanted(1.0), demand.lead_s) == (0, 0, 0.5)


def test_a_million_arrivals_at_one_moment_are_a_demand_like_any_other() -> None:
    demand = Demand(10)
    demand.led(0.0)
    for _ in range(10_000):
        demand.arrived(5.0)
    assert demand.wanted(5.0) in range(1, 11)
    assert demand.rate_per_s(5.0) == pytest.approx(1e6)


# -- all together, in virtual time --

LEARNED = PoolSettings(max_size=20)


def outcome(settings: PoolSettings, *, burst: bool) -> PoolOutcome:
    arrivals = (
        bursts(Random(1), size=6, every_s=30.0, spread_s=0.1, count=150) if burst else poisson(Random(1), 3.2, 1500)
    )
    return simulate_pool(
        settings,
        arrivals,
        random=Random(2),
        refill_s=lambda random: random.uniform(0.15, 0.35),
        task_s=lambda random: random.expovariate(2.0),
        warm_up=150,
    )


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("burst", [False, True])
def test_what_is_learned_beats_the_thresholds_alone(burst: bool, reuse: bool) -> None:
    learned = outcome(replace(LEARNED, reuse=reuse), burst=burst)
    alone = outcome(replace(LEARNED, reuse=reuse, learning=False), burst=burst)
    assert learned.hit_percent >= 97.5
    assert alone.hit_percent < 85


def test_a_size_that_is_fixed_stays() -> None:
    fixed = outcome(replace(LEARNED, auto_scaling=False), burst=False)
    assert fixed.reading.target == 2
