"""Each way to fill waves keeps both limits, and what no packing can go below is not above any."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from wavepool.plan.packing.bounds import length_at_least, waves_at_least
from wavepool.plan.packing.filling import Filling
from wavepool.plan.packing.fitting import WaveLimits, Waves, first_fit, next_fit, spread
from wavepool.plan.packing.searching import find_packings
from wavepool.plan.packing.shortening import Exchange, length_of

BUDGET = 100


@st.composite
def instances(draw: st.DrawFn) -> tuple[list[int], list[float], WaveLimits]:
    """Sizes, lengths and limits; sizes may be few or many different ones."""
    few = draw(st.lists(st.integers(1, BUDGET), min_size=1, max_size=3))
    sizes = draw(st.lists(st.sampled_from(few) | st.integers(1, BUDGET), min_size=1, max_size=40))
    lengths = draw(st.lists(st.sampled_from((1.0, 2.0, 5.0, 40.0)), min_size=len(sizes), max_size=len(sizes)))
    return sizes, lengths, WaveLimits(budget_bytes=BUDGET, parallel=draw(st.integers(1, 9)))


def check(waves: Waves, sizes: list[int], limits: WaveLimits) -> None:
    assert sorted(chain.from_iterable(waves)) == list(range(len(sizes)))
    for wave in waves:
        assert 1 <= len(wave) <= limits.parallel
        assert sum(sizes[each] for each in wave) <= limits.budget_bytes
    assert len(waves) >= waves_at_least(sizes, limits)


@given(instances(), st.integers(0, 6), st.booleans())
def test_every_way_keeps_the_limits(
    instance: tuple[list[int], list[float], WaveLimits], by_length: int, around_longest: bool
) -> None:
    sizes, lengths, limits = instance
    longest_first = sorted(range(len(sizes)), key=lambda each: -lengths[each])
    largest_first = sorted(range(len(sizes)), key=lambda each: -sizes[each])
    in_order = next_fit(sizes, limits)
    ways = [in_order, first_fit(longest_first, sizes, limits, len(sizes))]
    ways += [spread(largest_first, sizes, limits, count) for count in range(1, len(sizes) + 1)]
    assert ways[1] is not None
    assert ways[-1] is not None
    filling = Filling(longest_first, sizes, lengths, limits)
    if filling.possible:
        ways.append(filling.fill(by_length, around_longest=around_longest))
    exchange = Exchange(sizes, lengths, longest_first)
    for waves in filter(None, ways):
        check(waves, sizes, limits)
        changed = exchange.shortened(waves)
        check(changed, sizes, limits)
        assert len(changed) == len(waves)
        assert length_at_least(sizes, lengths, limits) <= length_of(changed, lengths) <= length_of(waves, lengths)


def test_first_fit_takes_the_first_wave_that_has_room_and_ends_where_none_has() -> None:
    limits = WaveLimits(budget_bytes=10, parallel=2)
    sizes = [7, 6, 3, 4, 1, 1]
    assert first_fit(range(6), sizes, limits, 3) == [[0, 2], [1, 3], [4, 5]]
    assert first_fit(range(6), sizes, limits, 2) is None
    assert spread([0, 1, 3, 2, 4, 5], sizes, limits, 3) == [[0, 5], [1, 4], [3, 2]]
    assert spread(range(6), sizes, limits, 2) is None


def test_fewer_waves_that_would_last_longer_than_those_in_order_do_not_count() -> None:
    """Three waves are possible, and all such packings last 22."""
    sizes, lengths = [30, 70, 30, 40, 50, 70], [2.0, 5.0, 10.0, 10.0, 5.0, 1.0]
    found = find_packings(sizes, lengths, WaveLimits(budget_bytes=100, parallel=32))
    assert [(len(waves), length_of(waves, lengths)) for waves in (found.in_order, found.fewest)] == [(4, 21), (4, 21)]


def test_two_batches_of_more_than_half_the_budget_count_as_two_waves_in_the_length_too() -> None:
    limits = WaveLimits(budget_bytes=100, parallel=32)
    assert length_at_least([51, 51, 51], [3.0, 3.0, 3.0], limits) == 9.0
    assert waves_at_least([51, 51, 51], limits) == 3
