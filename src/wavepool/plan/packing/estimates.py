"""How long each batch is expected to last, before any of them has run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from wavepool.plan.making.planned import PlannedBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """Expected lengths, all in one unit.

    Attributes:
        lengths: one for each batch, above zero.
        unit: ``s`` where durations were learned; ``errors`` where nothing is known, and a batch is taken to last in
            proportion to its errors.
        learned: how many of them are what was learned.
    """

    lengths: tuple[float, ...]
    unit: Literal["s", "errors"]
    learned: int


def estimate(batches: Sequence[PlannedBatch], learned_s: Mapping[str, float]) -> Estimates:
    """Of what was learned, else by errors; a batch without a duration lasts as long for each error as the median does.

    Args:
        batches: to be packed.
        learned_s: batch id -> seconds, of those for which anything was learned; all above zero.
    """
    known = [(learned_s[batch.batch_id], batch) for batch in batches if batch.batch_id in learned_s]
    if not known:
        return Estimates(lengths=tuple(_errors(batch) for batch in batches), unit="errors", learned=0)
    an_error_s = median(seconds / _errors(batch) for seconds, batch in known)
    lengths = tuple(learned_s.get(batch.batch_id, an_error_s * _errors(batch)) for batch in batches)
    return Estimates(lengths=lengths, unit="s", learned=len(known))


def _errors(batch: PlannedBatch) -> float:
    return float(max(1, batch.errors))
