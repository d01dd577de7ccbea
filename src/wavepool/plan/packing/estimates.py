"""How long each batch is expected to last, before any of them has run."""

from __future__ import annotations

from collections.abc import Sequence

from wavepool.plan.making.planned import PlannedBatch

LENGTH_UNIT = "errors"
"""Of all lengths: how long an error takes nobody knows, so only their ratios mean something."""


def lengths_of(batches: Sequence[PlannedBatch]) -> tuple[float, ...]:
    """One for each batch, above zero: in proportion to its errors."""
    return tuple(float(max(1, batch.errors)) for batch in batches)
