"""How many waves a plan has and how long they last, packed both ways, beside proven bounds; and how fast that is.

Batches of the four tiers with drawn numbers of errors, on fixed seeds; nothing runs, the same numbers each time but for
the seconds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from random import Random

from bench.harness import Figure, Goal, Options, single
from wavepool.plan.making.planned import PlannedBatch
from wavepool.plan.packing import Comparison, PackingFigures, PackingWay, pack
from wavepool.plan.tiers import TierMap
from wavepool.units import GIB, human_size

SEEDS = range(1, 41)
PARALLEL = 32
BUDGETS_GIB = (2, 4, 8, 40)
MANY = 100_000
SECONDS_GOAL = Goal(bound=10)
_TIERS = TierMap()


async def measure(options: Options) -> list[Figure]:
    """For each budget a row of waves and one of lengths, all seeds added up; then the seconds of very many batches."""
    figures: list[Figure] = []
    for budget in BUDGETS_GIB:
        compared = [pack(batches_of(seed), budget * GIB, PARALLEL).comparison for seed in SEEDS]
        figures += [_waves(budget, compared), _length(budget, compared)]
    return [*figures, _seconds(options.rounds(3))]


def batches_of(seed: int, count: int | None = None) -> list[PlannedBatch]:
    """20 to 300 batches by tier, each tier with a weight of its own; the errors are lognormal, more in larger tiers."""
    rng = Random(seed)
    weights = [rng.random() for _ in range(4)]
    tiers = sorted(rng.choices((1, 2, 3, 4), weights, k=count or rng.randint(20, 300)))
    return [
        PlannedBatch(
            batch_id=f"iter1-batch-{number}",
            tier=tier,
            memory_bytes=_TIERS.memory_of(tier),
            files=("file",),
            errors=max(1, round(rng.lognormvariate(tier, 0.8))),
            prompt="",
        )
        for number, tier in enumerate(tiers, 1)
    ]


def _waves(budget: int, compared: list[Comparison]) -> Figure:
    return _figure(
        f"waves, {budget}g",
        "waves",
        compared,
        read=lambda figures: figures.waves,
        bound=lambda each: each.waves_at_least,
    )


def _length(budget: int, compared: list[Comparison]) -> Figure:
    return _figure(
        f"length of the waves, {budget}g",
        "errors",
        compared,
        read=lambda figures: figures.length,
        bound=lambda each: each.length_at_least,
    )


def _figure(
    name: str,
    unit: str,
    compared: list[Comparison],
    *,
    read: Callable[[PackingFigures], float],
    bound: Callable[[Comparison], float],
) -> Figure:
    """Sums over all seeds; never above the order of the plan is the goal in each of them."""
    sums = {way: [read(each.figures[way]) for each in compared] for way in PackingWay}
    in_order = sums[PackingWay.IN_ORDER]
    worse = any(
        mine > theirs
        for way in (PackingWay.BEST, PackingWay.SHORTEST)
        for mine, theirs in zip(sums[way], in_order, strict=True)
    )
    goal = "never above in order"
    best = sums[PackingWay.BEST]
    ratios = sorted(mine / bound(each) for mine, each in zip(best, compared, strict=True))
    return Figure(
        name=name,
        unit=unit,
        ours=sum(best),
        rivals={"in order": sum(in_order), "shortest": sum(sums[PackingWay.SHORTEST])},
        floor=sum(map(bound, compared)),
        ratio=statistics.median(ratios),
        goals=(goal,),
        missed=(goal,) if worse else (),
        runs={"seeds": len(compared)},
        note=f"added up over the seeds; the bound is proven, and not always reached by any packing; "
        f"met in {sum(ratio <= 1 + 1e-9 for ratio in ratios)} of {len(ratios)}, at worst {ratios[-1]:.2f} of it",
    )


def _seconds(rounds: int) -> Figure:
    batches = batches_of(SEEDS[0], MANY)
    taken: dict[int, list[float]] = {8: [], 40: []}
    for _ in range(rounds):
        for budget, seconds in taken.items():
            began_s = time.process_time()
            pack(batches, budget * GIB, PARALLEL)
            seconds.append(time.process_time() - began_s)
    medians = {budget: statistics.median(seconds) for budget, seconds in taken.items()}
    return single(
        name=f"packing {MANY:,} batches",
        unit="s of CPU",
        ours=max(medians.values()),
        goal=SECONDS_GOAL,
        runs={"rounds": rounds},
        note="; ".join(f"{human_size(budget * GIB)}: {seconds:.2f}" for budget, seconds in medians.items()),
    )
