"""What no packing can go below: the number of waves, and how long they take one after another."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import fsum

from wavepool.plan.packing.fitting import WaveLimits


def waves_at_least(sizes: Sequence[int], limits: WaveLimits) -> int:
    """The largest of three proven bounds: all memory over the budget, all batches over `parallel`, and L2.

    L2 (Martello and Toth, Discrete Applied Mathematics 28, 1990) knows that two batches of more than half the budget
    never share a wave, and that small ones go only into what these leave.
    """
    by_memory = _whole(sum(sizes), limits.budget_bytes)
    return max(by_memory, _whole(len(sizes), limits.parallel), _l2(sorted(sizes), limits.budget_bytes))


def length_at_least(sizes: Sequence[int], lengths: Sequence[float], limits: WaveLimits) -> float:
    """The least sum over the waves of the longest length in each, whatever the packing and its number of waves.

    The batches of at least a length x need so many waves of their own, each of them then lasts at least x; the sum over
    all x of these numbers is the bound.
    """
    order = sorted(range(len(sizes)), key=lambda batch: -lengths[batch])
    layers: list[float] = []
    held, large = 0, 0
    for count, batch in enumerate(order, 1):
        held += sizes[batch]
        large += 2 * sizes[batch] > limits.budget_bytes
        needed = max(_whole(held, limits.budget_bytes), _whole(count, limits.parallel), large)
        below = lengths[order[count]] if count < len(order) else 0.0
        layers.append(needed * (lengths[batch] - below))
    return fsum(layers)


def _l2(rising: list[int], budget: int) -> int:
    sums = [0, *accumulate(rising)]
    half = bisect_right(rising, budget // 2)
    best = 0
    for least in {0, *rising[:half]}:
        own = bisect_right(rising, budget - least, lo=half)  # from here on nothing of at least `least` fits beside
        start = bisect_left(rising, least, hi=half)
        left = (own - half) * budget - (sums[own] - sums[half])
        best = max(best, len(rising) - half + max(0, _whole(sums[half] - sums[start] - left, budget)))
    return best


def _whole(amount: int, of: int) -> int:
    return -(-amount // of)
