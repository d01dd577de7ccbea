"""Several packings of the same batches, and the best of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from wavepool.plan.packing.bounds import length_at_least, waves_at_least
from wavepool.plan.packing.filling import Filling
from wavepool.plan.packing.fitting import WaveLimits, Waves, first_fit, next_fit, spread
from wavepool.plan.packing.shortening import Exchange, length_of

SEAMS = 6
"""How often the places are halved at which an order may turn from length to size."""


def best_packing(sizes: Sequence[int], lengths: Sequence[float], limits: WaveLimits) -> Waves:
    """The fewest waves that were found, among these the shortest; never more or longer than `next_fit` has it.

    Deterministic, n log n. Not always the best that there is: bin packing is NP-hard.

    Args:
        sizes: memory of each batch in bytes; none is above the budget.
        lengths: how long each is expected to last, in any unit.
        limits: of every wave.
    """
    if not sizes:
        return []
    search = _Search(sizes, lengths, limits)
    for way in (search.by_length, search.by_size, search.full, search.in_shares, search.in_two_parts):
        if search.is_done():
            break
        way()
    return search.best


class _Search:
    """The best packing so far; what is offered is taken only if it is no longer than `next_fit`'s."""

    def __init__(self, sizes: Sequence[int], lengths: Sequence[float], limits: WaveLimits) -> None:
        self._sizes, self._lengths, self._limits = sizes, lengths, limits
        self._least = waves_at_least(sizes, limits)
        self._least_length = length_at_least(sizes, lengths, limits)
        self.best = next_fit(sizes, limits)
        self._length = self._bound = length_of(self.best, lengths)
        batches = range(len(sizes))
        self._longest_first = sorted(batches, key=lambda batch: (-lengths[batch], -sizes[batch], batch))
        self._exchange = Exchange(sizes, lengths, self._longest_first)
        self._largest_first = sorted(batches, key=lambda batch: (-sizes[batch], -lengths[batch], batch))
        self._offer(self.best)

    def is_done(self) -> bool:
        """Whether both bounds are met, so that nothing can be better."""
        return len(self.best) == self._least and self._length <= self._least_length

    def by_length(self) -> None:
        """First fit, the longest first: the shortest waves wherever memory leaves a choice."""
        self._offer(self._fit(self._longest_first))

    def by_size(self) -> None:
        """First fit, the largest first: few waves where memory alone binds."""
        self._offer(self._fit(self._largest_first))

    def full(self) -> None:
        """Each wave as full as it can be, but for as many by length alone as the number of waves allows."""
        filling = Filling(self._longest_first, self._sizes, self._lengths, self._limits)
        if not filling.possible:
            return
        for around in (False, True):
            self._offer(filling.fill(0, around_longest=around))
        for around in (False, True):
            self._latest(len(self.best), partial(filling.fill, around_longest=around))

    def in_shares(self) -> None:
        """Large and small ones in equal parts, in as few waves as that can be done: where both limits bind."""
        if self._limits.budget_bytes // min(self._sizes) <= self._limits.parallel:
            return  # no wave can ever have too many
        low, high = self._least, len(self.best)
        while low <= high:
            middle = (low + high) // 2
            if self._offer(spread(self._largest_first, self._sizes, self._limits, middle)):
                high = middle - 1
            else:
                low = middle + 1

    def in_two_parts(self) -> None:
        """First fit, the longest first up to a seam and then the largest, with the seam as late as the waves allow."""

        def fit(seam: int) -> Waves | None:
            head = self._longest_first[:seam]
            taken = set(head)
            return self._fit([*head, *(batch for batch in self._largest_first if batch not in taken)])

        self._latest(len(self._sizes), fit)

    def _latest(self, most: int, packed: Callable[[int], Waves | None]) -> None:
        """Offer packings whose seam, from 1 to `most`, is as late as their number of waves allows."""
        low, high = 0, most
        for _ in range(SEAMS):
            if low >= high:
                break
            middle = (low + high + 1) // 2
            if self._offer(packed(middle)):
                low = middle
            else:
                high = middle - 1

    def _fit(self, order: Sequence[int]) -> Waves | None:
        return first_fit(order, self._sizes, self._limits, len(self.best))

    def _offer(self, waves: Waves | None) -> bool:
        """Take it if it is better; False where there is none."""
        if waves is None or len(waves) > len(self.best):
            return False
        changed = self._exchange.shortened(waves)
        length = length_of(changed, self._lengths)
        if length <= self._bound and (len(changed), length) < (len(self.best), self._length):
            self.best, self._length = changed, length
        return True
