"""Wave after wave as full as it can be, where batches have few different sizes, as tiers give them.

Each wave holds one batch that is hard to place or long and, of all combinations beside it, the one that wastes the
least memory (the minimum bin slack of Gupta and Ho, Production Planning and Control 10, 1999, with one item fixed).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb

from wavepool.plan.packing.fitting import WaveLimits, Waves

COMBINATIONS_MAX = 100_000
"""Above this many ways to fill one wave it is not tried: 4 sizes and 32 batches in a wave have 58,905."""


class Filling:
    """Fills waves with the batches of one plan.

    Args:
        longest_first: all batches by falling length, at least one.
        sizes, lengths: of each batch.
        limits: of every wave.

    Attributes:
        possible: whether sizes and waves are few and small enough to look through all combinations.
    """

    def __init__(
        self, longest_first: Iterable[int], sizes: Sequence[int], lengths: Sequence[float], limits: WaveLimits
    ) -> None:
        of_size: dict[int, list[int]] = {}
        for batch in longest_first:
            of_size.setdefault(sizes[batch], []).append(batch)
        self._kinds = sorted(of_size, reverse=True)
        self._batches = [of_size[kind] for kind in self._kinds]
        self._lengths, self._limits = lengths, limits
        self._most = min(limits.parallel, limits.budget_bytes // self._kinds[-1])
        self._known: dict[tuple[int, ...], tuple[int, ...]] = {}
        self.possible = comb(self._most + len(self._kinds), len(self._kinds)) <= COMBINATIONS_MAX

    def fill(self, by_length: int, *, around_longest: bool) -> Waves:
        """All batches in waves: the first so many by falling length alone, the others as full as they can be.

        Args:
            by_length: waves that take the longest batch that still fits, again and again.
            around_longest: the others hold the longest batch that is left; else the largest.
        """
        taken = [0] * len(self._kinds)
        waves: Waves = []
        while any(len(batches) > used for batches, used in zip(self._batches, taken, strict=True)):
            if len(waves) < by_length:
                numbers: Sequence[int] = self._longest(taken, self._limits.parallel)
            else:
                only = self._longest(taken, 1) if around_longest else self._largest(taken)
                numbers = self._beside(only.index(1), taken)
            waves.append([])
            for place, number in enumerate(numbers):
                waves[-1] += self._batches[place][taken[place] : taken[place] + number]
                taken[place] += number
        return waves

    def _largest(self, taken: Sequence[int]) -> list[int]:
        first = next(place for place, batches in enumerate(self._batches) if len(batches) > taken[place])
        return [int(place == first) for place in range(len(self._kinds))]

    def _longest(self, taken: Sequence[int], most: int) -> list[int]:
        """How many of each size make a wave of at most so many: always the longest that is left and fits."""
        room_bytes, numbers = self._limits.budget_bytes, [0] * len(self._kinds)
        for _ in range(most):
            fitting = [
                (-self._lengths[batches[taken[place] + numbers[place]]], place)
                for place, batches in enumerate(self._batches)
                if len(batches) > taken[place] + numbers[place] and self._kinds[place] <= room_bytes
            ]
            if not fitting:
                break
            place = min(fitting)[1]
            numbers[place] += 1
            room_bytes -= self._kinds[place]
        return numbers

    def _beside(self, first: int, taken: Sequence[int]) -> tuple[int, ...]:
        """How many of each size fill a wave with at least one of the size `first`."""
        counts = [
            min(self._most, len(batches) - used) for batches, used in zip(self._batches, taken, strict=True)
        ]  # more than a wave can hold make no difference, so that most waves have been met before
        key = (first, *counts)
        found = self._known.get(key)
        if found is None:
            counts[first] -= 1
            search = _Combinations(self._kinds, counts, self._limits.budget_bytes - self._kinds[first])
            search.look(0, search.wasted_bytes, self._limits.parallel - 1)
            search.best[first] += 1
            found = self._known[key] = tuple(search.best)
        return found


class _Combinations:
    """Looks through the combinations that fit, larger kinds first, and past none that could hold more than the best.

    Attributes:
        best: how many of each kind.
        wasted_bytes: the room that these leave; all of it at first.
    """

    def __init__(self, kinds: Sequence[int], counts: Sequence[int], room_bytes: int) -> None:
        self._kinds, self._counts = kinds, counts
        self._taken = [0] * len(kinds)
        self.best = list(self._taken)
        self.wasted_bytes = room_bytes

    def look(self, place: int, room_bytes: int, most: int) -> None:
        """Go through all that fit with what is taken of the kinds before `place`."""
        if room_bytes < self.wasted_bytes:
            self.wasted_bytes, self.best = room_bytes, list(self._taken)
        if place == len(self._kinds):
            return
        kind = self._kinds[place]
        smaller = self._kinds[place + 1] if place + 1 < len(self._kinds) else 0
        for number in range(min(self._counts[place], most, room_bytes // kind), -1, -1):
            left = room_bytes - number * kind
            if left - (most - number) * smaller >= self.wasted_bytes:
                break  # even if smaller ones took every place that is left; with fewer of this kind still more so
            self._taken[place] = number
            self.look(place + 1, left, most - number)
        self._taken[place] = 0
