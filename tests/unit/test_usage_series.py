"""Readings thinned over time: bounded, in order, with every peak and sum kept."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.engine.usage.series import FIRST_WIDTH_S, Series, Stretch, series_of

stretches = st.builds(
    lambda begin_s, length_s, memory, cpu_s, attempts: Stretch(
        begin_s, begin_s + length_s, length_s, memory, memory * length_s, cpu_s, attempts
    ),
    st.floats(0, 1e6),
    st.floats(0, 500),
    st.integers(0, 1 << 40),
    st.floats(0, 100),
    st.integers(0, 1000),
)


@given(st.lists(stretches, max_size=200), st.integers(2, 20))
def test_any_readings_are_bounded_in_order_and_keep_peaks_and_sums(given: list[Stretch], most: int) -> None:
    """Whatever the clock does: these come in no order at all."""
    kept = list(series_of(given, most))
    assert len(kept) <= most
    for one, other in pairwise(kept):
        assert one.begin_s <= one.end_s <= other.begin_s
    for name in ("memory_peak_bytes", "attempts"):
        assert max((getattr(each, name) for each in kept), default=0) == max(
            (getattr(each, name) for each in given), default=0
        )
    for name in ("read_s", "memory_byte_s", "cpu_s"):
        assert sum(getattr(each, name) for each in kept) == pytest.approx(sum(getattr(each, name) for each in given))


@given(st.lists(st.integers(0, 1 << 30), min_size=1, max_size=400), st.integers(2, 32))
def test_a_peak_stays_in_the_stretch_in_which_it_was_read(readings: list[int], most: int) -> None:
    kept = series_of((reading(at, memory) for at, memory in enumerate(readings)), most)
    for each in kept:
        within = readings[round(each.begin_s) : round(each.end_s)]
        assert each.memory_peak_bytes == max(within)
        assert each.read_s == len(within)
        assert each.end_s - each.begin_s <= kept.width_s


def test_a_series_gets_coarser_by_doubling_and_not_before_it_is_full() -> None:
    kept = Series(8)
    widths = set()
    for at in range(1000):
        kept.add(reading(at, at))
        widths.add(kept.width_s)
        assert len(kept) <= 8
        assert len(kept) >= min(8, at // 2) // 2
    assert widths == {FIRST_WIDTH_S * 2**n for n in range(len(widths))}
    assert max(widths) < 4 * 1000 / 8
    whole = kept.whole()
    assert whole is not None
    assert (whole.begin_s, whole.end_s, whole.memory_peak_bytes, whole.cpu_percent) == (0, 1000, 999, 50.0)
    assert whole.memory_mean_bytes == round(sum(range(1000)) / 1000)


def test_a_night_between_two_readings_stays_a_gap_as_long_as_there_is_room() -> None:
    kept = series_of([*map(reading, range(100), [1] * 100), *map(reading, range(50_000, 50_100), [2] * 100)], 16)
    gaps = [other.begin_s - one.end_s for one, other in pairwise(kept)]
    assert max(gaps) == 49_900
    assert [each.memory_peak_bytes for each in kept] == sorted(each.memory_peak_bytes for each in kept)


def test_nothing_has_no_figures() -> None:
    assert Series(4).whole() is None
    empty = Stretch(1, 1, 0, 0, 0, 0)
    assert (empty.cpu_percent, empty.memory_mean_bytes) == (None, None)


def reading(at: int, memory: int) -> Stretch:
    return Stretch(at, at + 1, 1, memory, memory, 0.5)
