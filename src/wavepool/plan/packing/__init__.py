"""Batches into waves, within a budget of memory and a number that run at once: in order, or few and short waves."""

from wavepool.plan.packing.estimates import LENGTH_UNIT
from wavepool.plan.packing.packed import (
    Comparison,
    Packed,
    PackedWave,
    PackingFigures,
    PackingWay,
    pack,
    pack_in_order,
)

__all__ = ["LENGTH_UNIT", "Comparison", "Packed", "PackedWave", "PackingFigures", "PackingWay", "pack", "pack_in_order"]
