"""Estimates from few samples.

The estimator of quantiles is the sixth of Hyndman and Fan ("Sample quantiles in statistical packages", The American
Statistician 50, 1996), Weibull's p(n+1): on average over samples, the next reading lies below it with probability p,
whatever the distribution. Beyond the samples it knows nothing and answers with the largest: a p95 of fewer than 20
samples is the maximum. The next of n exchangeable readings is above all of them with probability 1/(n+1); so the
fewer were seen, the more is put on top (`headroom`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

HEADROOM_LEAST, HEADROOM_FIRST = 0.2, 1.0
"""On top of the largest reading: with very many samples, and with a single one."""


def quantile(ordered: Sequence[float], p: float) -> float:
    """The `p` quantile (0 to 1) of at least one sample, in rising order; between the least and the largest."""
    place = p * (len(ordered) + 1)
    below = math.floor(place)
    if below < 1:
        return ordered[0]
    if below >= len(ordered):
        return ordered[-1]
    low, high = ordered[below - 1], ordered[below]
    return low + (place - below) * (high - low)


def headroom(count: int) -> float:
    """Which part of the largest of `count` readings (at least 1) is put on top of it."""
    return HEADROOM_LEAST + (HEADROOM_FIRST - HEADROOM_LEAST) / count
