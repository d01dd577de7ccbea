"""Batches in waves, and how two ways to put them there compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from wavepool.errors import PlanError, Words
from wavepool.plan.making.planned import PlannedBatch
from wavepool.plan.packing.bounds import length_at_least, waves_at_least
from wavepool.plan.packing.estimates import lengths_of
from wavepool.plan.packing.fitting import WaveLimits, Waves, next_fit
from wavepool.plan.packing.searching import find_packings
from wavepool.plan.packing.shortening import length_of
from wavepool.units import format_size


class PackingWay(StrEnum):
    """How batches are put into waves.

    `BEST`: the fewest waves, and of these packings the shortest. `SHORTEST`: the other way round, with no more waves
    than in order. `IN_ORDER`: as the batches come, which is by tier.
    """

    BEST = "best"
    SHORTEST = "shortest"
    IN_ORDER = "in-order"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedWave:
    """Batches that run at the same time; `number` from 1."""

    number: int
    batches: tuple[PlannedBatch, ...]

    @property
    def memory_bytes(self) -> int:
        """What all of them may use together."""
        return sum(batch.memory_bytes for batch in self.batches)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingFigures:
    """What a packing amounts to.

    Attributes:
        waves: how many.
        memory_peak_bytes: what the wave with the most holds.
        memory_share: of the budget, what a wave holds in the mean; from 0 to 1.
        length: estimated, of the waves one after another, each as long as its longest batch.
    """

    waves: int
    memory_peak_bytes: int
    memory_share: float
    length: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All ways, and what none can go below.

    Attributes:
        chosen: the way of the plan.
        figures: of each.
        waves_at_least, length_at_least: proven for every packing of these batches.
        batches: how many there are.
    """

    chosen: PackingWay
    figures: Mapping[PackingWay, PackingFigures]
    waves_at_least: int
    length_at_least: float
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """The waves of a plan, as they were chosen, beside the other ways."""

    waves: tuple[PackedWave, ...]
    comparison: Comparison


def pack_in_order(batches: Sequence[PlannedBatch], budget_bytes: int, parallel: int) -> tuple[PackedWave, ...]:
    """Batch after batch into the last wave; the first that has no room in it opens the next.

    Args:
        batches: in the order that is kept.
        budget_bytes, parallel: what one wave may hold at once, at least 1 each.

    Raises:
        PlanError: a batch alone is above the budget.
    """
    limits = WaveLimits(budget_bytes=budget_bytes, parallel=parallel)
    _refuse_too_large(batches, budget_bytes)
    return _waves(batches, next_fit([batch.memory_bytes for batch in batches], limits))


def pack(
    batches: Sequence[PlannedBatch],
    budget_bytes: int,
    parallel: int,
    *,
    way: PackingWay = PackingWay.BEST,
) -> Packed:
    """The batches in waves, packed all ways, so that they can be compared.

    Args:
        batches: by tier, as `pack_in_order` takes them.
        budget_bytes, parallel: what one wave may hold at once, at least 1 each.
        way: whose waves are wanted.

    Raises:
        PlanError: a batch alone is above the budget.
    """
    limits = WaveLimits(budget_bytes=budget_bytes, parallel=parallel)
    _refuse_too_large(batches, budget_bytes)
    sizes = [batch.memory_bytes for batch in batches]
    lengths = lengths_of(batches)
    packings = find_packings(sizes, lengths, limits)
    found = {
        PackingWay.BEST: packings.fewest,
        PackingWay.SHORTEST: packings.shortest,
        PackingWay.IN_ORDER: packings.in_order,
    }
    return Packed(
        waves=_waves(batches, found[way]),
        comparison=_compared(found, way, sizes, lengths, limits),
    )


def _compared(
    found: Mapping[PackingWay, Waves],
    way: PackingWay,
    sizes: Sequence[int],
    lengths: Sequence[float],
    limits: WaveLimits,
) -> Comparison:
    return Comparison(
        chosen=way,
        figures={each: _figures(waves, sizes, lengths, limits) for each, waves in found.items()},
        waves_at_least=waves_at_least(sizes, limits),
        length_at_least=length_at_least(sizes, lengths, limits),
        batches=len(sizes),
    )


def _figures(waves: Waves, sizes: Sequence[int], lengths: Sequence[float], limits: WaveLimits) -> PackingFigures:
    held = [sum(sizes[batch] for batch in wave) for wave in waves]
    return PackingFigures(
        waves=len(waves),
        memory_peak_bytes=max(held, default=0),
        memory_share=sum(held) / (len(held) * limits.budget_bytes) if held else 0.0,
        length=length_of(waves, lengths),
    )


def _waves(batches: Sequence[PlannedBatch], waves: Iterable[Sequence[int]]) -> tuple[PackedWave, ...]:
    """Within a wave the batches stand as they came."""
    return tuple(
        PackedWave(number=number, batches=tuple(batches[batch] for batch in sorted(wave)))
        for number, wave in enumerate(waves, 1)
    )


def _refuse_too_large(batches: Iterable[PlannedBatch], budget_bytes: int) -> None:
    for batch in batches:
        if batch.memory_bytes > budget_bytes:
            raise PlanError(
                f"memory of batch {batch.batch_id}",
                Words(format_size(batch.memory_bytes)),
                f"at most the budget of {format_size(budget_bytes)}; raise --budget, or give tier {batch.tier} less "
                "memory by --tier-config",
            )
