"""Batches into waves: the seed's order, the better one, and what holds for both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from random import Random
from statistics import fmean

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wavepool.errors import PlanError
from wavepool.plan.making.planned import PlannedBatch
from wavepool.plan.packing import PackingWay, pack, pack_in_order
from wavepool.plan.packing.bounds import length_at_least, waves_at_least
from wavepool.plan.packing.fitting import WaveLimits, next_fit
from wavepool.plan.packing.searching import find_packings
from wavepool.plan.packing.shortening import length_of
from wavepool.plan.tiers import TierMap
from wavepool.units import GIB, MIB

TIERS = TierMap()


def batch(number: int, tier: int = 1, *, memory_bytes: int | None = None, errors: int = 1) -> PlannedBatch:
    return PlannedBatch(
        batch_id=f"iter1-batch-{number}",
        tier=tier,
        memory_bytes=TIERS.memory_of(tier) if memory_bytes is None else memory_bytes,
        files=(f"{number}.py",),
        errors=errors,
        prompt="Mend it.",
    )


def of_tiers(*counts: int) -> list[PlannedBatch]:
    tiers = chain.from_iterable([tier] * count for tier, count in enumerate(counts, 1))
    return [batch(number, tier, errors=tier) for number, tier in enumerate(tiers, 1)]


def counts(batches: Sequence[PlannedBatch], budget_bytes: int) -> list[int]:
    return [len(wave.batches) for wave in pack_in_order(batches, budget_bytes, 32)]


def test_in_order_is_as_the_seed_packs_its_four_tiers() -> None:
    batches = of_tiers(42, 12, 3, 1)
    assert counts(batches, 40 * GIB) == [32, 26]
    assert counts(batches, 8 * GIB) == [16, 16, 15, 11]
    assert list(chain.from_iterable(wave.batches for wave in pack_in_order(batches, 8 * GIB, 32))) == batches


def test_the_better_packing_puts_batches_of_like_length_into_one_wave() -> None:
    batches = [batch(number, errors=errors) for number, errors in enumerate((1, 90, 2, 80, 3, 70), 1)]
    packed = pack(batches, 8 * GIB, 2)
    assert [[each.errors for each in wave.batches] for wave in packed.waves] == [[90, 80], [3, 70], [1, 2]]
    compared = packed.comparison
    assert [compared.figures[way].length for way in PackingWay] == [162, 162, 240]
    assert compared.length_at_least == 162


def test_the_better_packing_needs_fewer_waves_where_order_wastes_room() -> None:
    sizes = (60, 60, 60, 40, 40, 40)
    batches = [batch(number, memory_bytes=size * MIB) for number, size in enumerate(sizes, 1)]
    compared = pack(batches, 100 * MIB, 32).comparison
    assert [compared.figures[way].waves for way in PackingWay] == [3, 3, 4]
    assert compared.waves_at_least == 3


def test_large_and_small_ones_share_waves_where_memory_and_number_bind_together() -> None:
    batches = [batch(n, memory_bytes=2 * GIB) for n in range(1, 101)]
    batches += [batch(n, memory_bytes=GIB // 2) for n in range(101, 201)]
    compared = pack(batches, 40 * GIB, 32).comparison
    assert [compared.figures[way].waves for way in PackingWay] == [7, 7, 9]
    assert compared.waves_at_least == 7


def test_a_batch_above_the_budget_is_refused_with_what_to_do() -> None:
    batches = [batch(1), batch(2, 4)]
    for refused in (lambda: pack_in_order(batches, 600 * MIB, 32), lambda: pack(batches, 600 * MIB, 32)):
        with pytest.raises(PlanError) as caught:
            refused()
        assert str(caught.value) == (
            "memory of batch iter1-batch-2: got 1g, expected at most the budget of 600m; raise --budget, or give tier "
            "4 less memory by --tier-config"
        )


def test_no_batches_need_no_wave() -> None:
    packed = pack([], GIB, 32)
    assert packed.waves == () == pack_in_order([], GIB, 32)
    assert {(each.waves, each.length) for each in packed.comparison.figures.values()} == {(0, 0)}
    assert (packed.comparison.waves_at_least, packed.comparison.length_at_least) == (0, 0)


@st.composite
def instances(draw: st.DrawFn) -> tuple[list[PlannedBatch], int, int]:
    """Batches, a budget that none is above, and a parallelism."""
    sizes = draw(st.lists(st.sampled_from((512, 600, 800, 1024)) | st.integers(6, 2000), max_size=60))
    errors = draw(st.lists(st.integers(0, 40), min_size=len(sizes), max_size=len(sizes)))
    batches = [
        batch(number, memory_bytes=size * MIB, errors=count)
        for number, (size, count) in enumerate(zip(sizes, errors, strict=True), 1)
    ]
    budget = draw(st.integers(max(sizes, default=6), max(sizes, default=6) + 8000))
    return batches, budget * MIB, draw(st.integers(1, 12))


@given(instances(), st.sampled_from(PackingWay))
@example((of_tiers(42, 12, 3, 1), 8 * GIB, 32), PackingWay.BEST)
def test_what_holds_for_every_packing(instance: tuple[list[PlannedBatch], int, int], way: PackingWay) -> None:
    batches, budget_bytes, parallel = instance
    packed = pack(batches, budget_bytes, parallel, way=way)
    assert [wave.number for wave in packed.waves] == list(range(1, len(packed.waves) + 1))
    for wave in packed.waves:
        assert 1 <= len(wave.batches) <= parallel
        assert wave.memory_bytes <= budget_bytes
    placed = [each.batch_id for wave in packed.waves for each in wave.batches]
    assert sorted(placed) == sorted(each.batch_id for each in batches)

    compared = packed.comparison
    best, shortest, in_order = (compared.figures[each] for each in PackingWay)
    assert compared.waves_at_least <= best.waves <= shortest.waves <= in_order.waves
    assert compared.length_at_least <= shortest.length * (1 + 1e-12)
    assert shortest.length <= best.length <= in_order.length
    chosen = compared.figures[way]
    assert chosen.waves == len(packed.waves)
    assert chosen.memory_peak_bytes == max((wave.memory_bytes for wave in packed.waves), default=0)
    assert chosen.length == sum(max(max(1, each.errors) for each in wave.batches) for wave in packed.waves)
    if way is PackingWay.IN_ORDER:
        assert packed.waves == pack_in_order(batches, budget_bytes, parallel)
    assert packed == pack(batches, budget_bytes, parallel, way=way)


def _optimum(sizes: Sequence[int], lengths: Sequence[float], limits: WaveLimits) -> dict[int, float]:
    """By number of waves the least length of all packings, found by trying every set of batches as the next wave."""
    every = (1 << len(sizes)) - 1
    found: list[dict[int, float]] = [{0: 0.0}, *({} for _ in range(every))]
    for left in range(1, every + 1):
        first = left & -left
        others = left ^ first
        beside = others
        while True:
            wave = [number for number in range(len(sizes)) if (first | beside) >> number & 1]
            if len(wave) <= limits.parallel and sum(sizes[each] for each in wave) <= limits.budget_bytes:
                longest = max(lengths[each] for each in wave)
                for waves, length in found[left ^ first ^ beside].items():
                    least = found[left].get(waves + 1, float("inf"))
                    found[left][waves + 1] = min(least, length + longest)
            if not beside:
                break
            beside = (beside - 1) & others
    return found[every]


def test_small_instances_are_packed_nearly_as_well_as_can_be() -> None:
    rng = Random(6)
    more_waves, ratios = 0, []
    for _ in range(60):
        tiers = sorted(rng.choices((512, 600, 800, 1024), k=rng.randint(5, 8)))
        lengths = [float(max(1, round(rng.lognormvariate(tier / 300, 0.8)))) for tier in tiers]
        limits = WaveLimits(budget_bytes=rng.choice((1100, 1600, 2048, 2500, 3000)), parallel=rng.choice((2, 3, 4, 32)))
        in_order = length_of(next_fit(tiers, limits), lengths)
        optimum = _optimum(tiers, lengths, limits)
        assert waves_at_least(tiers, limits) <= min(optimum)
        assert length_at_least(tiers, lengths, limits) <= min(optimum.values())
        waves = find_packings(tiers, lengths, limits).fewest
        fewest = min(number for number, length in optimum.items() if length <= in_order)
        more_waves += len(waves) > fewest
        if len(waves) == fewest:
            ratios.append(length_of(waves, lengths) / optimum[fewest])
    assert (more_waves, min(ratios)) == (0, 1.0)
    assert fmean(ratios) < 1.005


def test_waves_are_filled_to_the_bound_where_memory_alone_binds() -> None:
    rng = Random(7)
    sizes = sorted(rng.choices((512, 600, 800, 1024), k=300))
    lengths = [float(size) for size in sizes]
    limits = WaveLimits(budget_bytes=8192, parallel=32)
    found = find_packings(sizes, lengths, limits)
    assert (len(found.fewest), waves_at_least(sizes, limits), len(found.in_order)) == (27, 27, 28)


def test_one_wave_fewer_may_make_all_of_them_longer_so_the_shortest_is_found_too() -> None:
    rng = Random(38)
    weights = [rng.random() for _ in range(4)]
    tiers = sorted(rng.choices((1, 2, 3, 4), weights, k=250))
    batches = [batch(n, tier, errors=max(1, round(rng.lognormvariate(tier, 0.8)))) for n, tier in enumerate(tiers, 1)]
    figures = pack(batches, 4 * GIB, 32).comparison.figures
    assert [(figures[way].waves, figures[way].length) for way in PackingWay] == [(41, 1788), (42, 1054), (42, 2068)]
    packed = pack(batches, 4 * GIB, 32, way=PackingWay.SHORTEST)
    assert len(packed.waves) == figures[PackingWay.SHORTEST].waves


def test_two_of_more_than_half_the_budget_never_share_a_wave_and_the_bound_knows() -> None:
    limits = WaveLimits(budget_bytes=100, parallel=32)
    assert waves_at_least([60, 60, 60], limits) == 3
    assert waves_at_least([70, 70, 40, 40, 40], limits) == 4
    assert waves_at_least([], limits) == 0
    assert length_at_least([60, 60, 10], [3.0, 2.0, 1.0], limits) == 5.0
