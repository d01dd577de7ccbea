"""Batches of like length into the same waves, without a change of what each wave holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum

from wavepool.plan.packing.fitting import Waves

ROUNDS_MAX = 3


def length_of(waves: Waves, lengths: Sequence[float]) -> float:
    """How long the waves take one after another: the sum of the longest length in each."""
    return fsum(max(map(lengths.__getitem__, wave)) for wave in waves)


class Exchange:
    """Lets batches of equal size change places.

    Args:
        sizes, lengths: of each batch.
        longest_first: all batches by falling length.
    """

    def __init__(self, sizes: Sequence[int], lengths: Sequence[float], longest_first: Iterable[int]) -> None:
        self._sizes, self._lengths = sizes, lengths
        self._of_size: dict[int, list[int]] = {}
        for batch in longest_first:
            self._of_size.setdefault(sizes[batch], []).append(batch)

    def shortened(self, waves: Waves) -> Waves:
        """The same waves with other batches of the same sizes in them, the longest first; together never longer.

        The wave that was the longest takes the longest batches of each size that it holds, the next one takes the
        longest of what is left, and so on. None can become longer than the one of its rank was: one of so many longest
        batches stood in a wave of this rank or a later one. Repeated while it helps.
        """
        best = self._longest_first(waves)
        length = length_of(best, self._lengths)
        for _ in range(ROUNDS_MAX):
            new = self._longest_first(self._dealt(best))
            new_length = length_of(new, self._lengths)
            if new_length >= length:
                break
            best, length = new, new_length
        return best

    def _longest_first(self, waves: Waves) -> Waves:
        longest = self._lengths.__getitem__
        return sorted(waves, key=lambda wave: (-max(map(longest, wave)), min(wave)))

    def _dealt(self, waves: Waves) -> Waves:
        left = {size: iter(batches) for size, batches in self._of_size.items()}
        return [[next(left[self._sizes[batch]]) for batch in wave] for wave in waves]
