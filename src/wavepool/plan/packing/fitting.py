"""Where the next batch goes: three ways to fill waves that have a bound on memory and one on their number of batches.

Batches are numbers from 0, waves are lists of them. This is bin packing under a cardinality constraint, met first where
tasks share a machine's memory (Krause, Shen and Schwetman, Journal of the ACM 22, 1975).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

Waves = list[list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveLimits:
    """What one wave may hold at once: memory in bytes, and batches; each at least 1."""

    budget_bytes: int
    parallel: int


def next_fit(sizes: Sequence[int], limits: WaveLimits) -> Waves:
    """All batches in their order; the first that has no room in a wave opens the next. Each fits into an empty one."""
    waves: Waves = []
    room_bytes = 0
    for batch, size in enumerate(sizes):
        if not waves or size > room_bytes or len(waves[-1]) == limits.parallel:
            waves.append([])
            room_bytes = limits.budget_bytes
        waves[-1].append(batch)
        room_bytes -= size
    return waves


def first_fit(order: Iterable[int], sizes: Sequence[int], limits: WaveLimits, most: int) -> Waves | None:
    """Each batch, in this order, into the first wave that has room for it; None where `most` waves are too few.

    The rooms stand in a tree of maxima: n batches take n log n steps (Johnson, Journal of Computer and System Sciences
    8, 1974).
    """
    leaves = 1 << max(0, most - 1).bit_length()
    room = _tree([limits.budget_bytes] * most + [-1] * (leaves - most))
    waves: Waves = [[] for _ in range(most)]
    last: dict[int, int] = {}  # of each size: rooms only shrink, so no wave before that one will ever take it
    for batch in order:
        size = sizes[batch]
        node = last.get(size, 0)
        if not node or room[node] < size:
            if room[1] < size:
                return None
            node = last[size] = _first(room, size, leaves)
        wave = waves[node - leaves]
        wave.append(batch)
        room[node] = room[node] - size if len(wave) < limits.parallel else -1
        while node > 1:  # in place, as a call for each batch takes as long as all the rest
            node //= 2
            left, right = room[2 * node], room[2 * node + 1]
            most_room = left if left > right else right
            if room[node] == most_room:
                break
            room[node] = most_room
    return [wave for wave in waves if wave]


def spread(order: Iterable[int], sizes: Sequence[int], limits: WaveLimits, count: int) -> Waves | None:
    """Each batch, in this order, into the wave that holds the least of `count`; None where that has no room for it.

    In falling order of size this gives each wave its share of large and of small batches (Graham, SIAM Journal on
    Applied Mathematics 17, 1969), which counts where memory and number bind together.
    """
    open_waves = [(0, wave) for wave in range(count)]
    heapify(open_waves)
    waves: Waves = [[] for _ in range(count)]
    for batch in order:
        if not open_waves:
            return None
        held, wave = open_waves[0]
        held += sizes[batch]
        if held > limits.budget_bytes:
            return None
        waves[wave].append(batch)
        if len(waves[wave]) < limits.parallel:
            heapreplace(open_waves, (held, wave))
        else:
            heappop(open_waves)
    return [wave for wave in waves if wave]


def _tree(rooms: list[int]) -> list[int]:
    tree = [0] * len(rooms) + rooms
    for node in range(len(rooms) - 1, 0, -1):
        tree[node] = max(tree[2 * node], tree[2 * node + 1])
    return tree


def _first(room: list[int], size: int, leaves: int) -> int:
    node = 1
    while node < leaves:
        node *= 2
        if room[node] < size:
            node += 1
    return node
