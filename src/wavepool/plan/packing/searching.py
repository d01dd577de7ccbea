"""Several packings of the same batches, and the best of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from wavepool.plan.packing.bounds import length_at_least, waves_at_least
from wavepool.plan.packing.filling import Filling
from wavepool.plan.packing.fitting import WaveLimits, Waves, first_fit, next_fit, spread
from wavepool.plan.packing.shortening import Exchange, length_of

SEAMS, SEAMS_OF_MANY, MANY = 6, 3, 20_000
"""How often the places are halved at which an order may turn from length to size; less often of so many batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPackings:
    """What a search came to. None has more waves than `in_order`, or lasts longer.

    Attributes:
        in_order: by `next_fit`.
        fewest: as few waves as were found, and of these packings the shortest.
        shortest: as short as was found, and of these packings that with the fewest waves.
    """

    in_order: Waves
    fewest: Waves
    shortest: Waves


def find_packings(sizes: Sequence[int], lengths: Sequence[float], limits: WaveLimits) -> FoundPackings:
    """Try several ways. Deterministic, n log n; not always the best that there is, as bin packing is NP-hard.

    Args:
        sizes: memory of each batch in bytes; none is above the budget.
        lengths: how long each is expected to last, in any unit.
        limits: of every wave.
    """
    if not sizes:
        return FoundPackings(in_order=[], fewest=[], shortest=[])
    search = _Search(sizes, lengths, limits)
    parts = search.full if search.filling.possible else search.in_two_parts
    for way in (search.by_length, search.by_size, parts, search.in_shares):
        if search.is_done():
            break
        way()
    return FoundPackings(in_order=search.in_order, fewest=search.fewest, shortest=search.shortest)


class _Search:
    """The best packings so far. One that has more waves than `next_fit`, or is longer, does not count."""

    def __init__(self, sizes: Sequence[int], lengths: Sequence[float], limits: WaveLimits) -> None:
        self._sizes, self._lengths, self._limits = sizes, lengths, limits
        self._least = waves_at_least(sizes, limits)
        self._least_length = length_at_least(sizes, lengths, limits)
        self.in_order = self.fewest = self.shortest = next_fit(sizes, limits)
        self._bound = self._fewest_length = self._shortest_length = length_of(self.in_order, lengths)
        batches = range(len(sizes))
        self._longest_first = sorted(batches, key=lambda batch: (-lengths[batch], -sizes[batch], batch))
        self._largest_first = sorted(batches, key=lambda batch: (-sizes[batch], -lengths[batch], batch))
        self.filling = Filling(self._longest_first, sizes, lengths, limits)
        self._exchange = Exchange(sizes, lengths, self._longest_first)
        self._offer(self.in_order)

    def is_done(self) -> bool:
        """Whether one packing meets both bounds, so that nothing can be better."""
        return len(self.fewest) == self._least and self._fewest_length <= self._least_length

    def by_length(self) -> None:
        """First fit, the longest first: the shortest waves wherever memory leaves a choice."""
        self._offer(self._fit(self._longest_first))

    def by_size(self) -> None:
        """First fit, the largest first: few waves where memory alone binds."""
        self._offer(self._fit(self._largest_first))

    def full(self) -> None:
        """Each wave as full as it can be, but for as many by length alone as the number of waves allows."""
        for around in (False, True):
            self._offer(self.filling.fill(0, around_longest=around))
        for around in (False, True):
            self._latest(len(self.in_order), partial(self.filling.fill, around_longest=around))

    def in_shares(self) -> None:
        """Large and small ones in equal parts, in as few waves as that can be done: where both limits bind."""
        if self._limits.budget_bytes // min(self._sizes) <= self._limits.parallel:
            return  # no wave can ever have too many
        low, high = self._least, len(self.in_order)
        while low <= high:
            middle = (low + high) // 2
            if self._offer(spread(self._largest_first, self._sizes, self._limits, middle)) is None:
                low = middle + 1
            else:
                high = middle - 1

    def in_two_parts(self) -> None:
        """First fit, the longest first up to a seam and then the largest, with the seam as late as the waves allow."""

        def fit(seam: int) -> Waves | None:
            head = self._longest_first[:seam]
            taken = set(head)
            return self._fit([*head, *(batch for batch in self._largest_first if batch not in taken)])

        self._latest(len(self._sizes), fit)

    def _latest(self, most: int, packed: Callable[[int], Waves | None]) -> None:
        """Offer packings with a seam, from 1 to `most`, as late as the fewest waves allow, and as those in order do."""
        self._offer(packed(most))
        for of_fewest in (True, False):
            low, high = 0, most
            for _ in range(SEAMS if len(self._sizes) < MANY else SEAMS_OF_MANY):
                if low >= high:
                    break
                middle = (low + high + 1) // 2
                needed = self._offer(packed(middle))
                if needed is None or needed > len(self.fewest if of_fewest else self.in_order):
                    high = middle - 1
                else:
                    low = middle
            if len(self.fewest) == len(self.in_order):
                break

    def _fit(self, order: Sequence[int]) -> Waves | None:
        return first_fit(order, self._sizes, self._limits, len(self.in_order))

    def _offer(self, waves: Waves | None) -> int | None:
        """Take it where it is better; the number of its waves, or None where there is none."""
        if waves is None or len(waves) > len(self.in_order):
            return None
        changed = self._exchange.shortened(waves)
        length = length_of(changed, self._lengths)
        if length <= self._bound:
            if (len(changed), length) < (len(self.fewest), self._fewest_length):
                self.fewest, self._fewest_length = changed, length
            if (length, len(changed)) < (self._shortest_length, len(self.shortest)):
                self.shortest, self._shortest_length = changed, length
        return len(waves)
