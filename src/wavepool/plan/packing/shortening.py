"""Batches of like length into the same waves, without a change of what each wave holds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import fsum

from wavepool.plan.packing.fitting import Waves

ROUNDS_MAX = 8


def length_of(waves: Waves, lengths: Sequence[float]) -> float:
    """How long the waves take one after another: the sum of the longest length in each."""
    return fsum(max(lengths[batch] for batch in wave) for wave in waves)


def exchange(waves: Waves, sizes: Sequence[int], lengths: Sequence[float]) -> Waves:
    """The same waves, in which batches of equal size have changed places, the longest wave first; never longer.

    The wave that was the longest takes the longest batches of each size that it holds, the next one takes the longest
    of what is left, and so on. None can become longer than the one of its rank was: one of so many longest batches
    stood in a wave of this rank or a later one. Repeated while it helps.
    """
    best, length = _by_length(waves, lengths), length_of(waves, lengths)
    for _ in range(ROUNDS_MAX):
        new = _by_length(_dealt(best, sizes, lengths), lengths)
        new_length = length_of(new, lengths)
        if new_length >= length:
            break
        best, length = new, new_length
    return best


def _by_length(waves: Waves, lengths: Sequence[float]) -> Waves:
    return sorted(waves, key=lambda wave: (-max(lengths[batch] for batch in wave), min(wave)))


def _dealt(waves: Waves, sizes: Sequence[int], lengths: Sequence[float]) -> Waves:
    by_size: dict[int, list[int]] = {}
    for batch in sorted(chain.from_iterable(waves), key=lambda batch: (lengths[batch], -batch)):
        by_size.setdefault(sizes[batch], []).append(batch)
    return [[by_size[sizes[batch]].pop() for batch in wave] for wave in waves]
