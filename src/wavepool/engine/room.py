"""How many tasks of one wave have room at once, and what bounds them: told to people before they wonder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from wavepool.model import Node, Resources


class AtOnce(NamedTuple):
    """`tasks` at a time, because of `bound`: ``cpus``, ``memory`` or ``parallelism``."""

    tasks: int
    bound: str


class Room:
    """Counts the tasks of one wave, in the plan's order, into what the run's nodes have together.

    With tasks of different sizes it is the number that have room at first; on several nodes at most so many have.

    Attributes:
        most: the most that one task holds, of memory and of CPU.
        equal: all tasks hold the same.
        capacity: of all nodes; `milli_cpus` is 0 where CPU is not counted.
        parallelism: the bound in the plan, None where it has none.
    """

    __slots__ = ("_cpu_fit", "_cpu_left", "_first", "_memory_fit", "_memory_left", "_tasks",
                 "capacity", "equal", "most", "parallelism")  # fmt: skip

    def __init__(self, nodes: Sequence[Node], parallelism: int | None) -> None:
        self.capacity = Resources(
            sum(node.capacity.memory_bytes for node in nodes), sum(node.capacity.milli_cpus for node in nodes)
        )
        self.most = Resources(0)
        self.equal = True
        self._first: Resources | None = None
        self.parallelism = parallelism
        self._tasks = self._memory_fit = self._cpu_fit = 0
        self._memory_left, self._cpu_left = self.capacity

    def add(self, held: Resources) -> None:
        """One more task."""
        self._first = self._first or held
        self.equal = self.equal and held == self._first
        self.most = Resources(*map(max, self.most, held))
        # A count goes on only as long as every task before had room.
        if self._memory_fit == self._tasks and held.memory_bytes <= self._memory_left:
            self._memory_left -= held.memory_bytes
            self._memory_fit += 1
        if self._cpu_fit == self._tasks and (not self.capacity.milli_cpus or held.milli_cpus <= self._cpu_left):
            self._cpu_left -= held.milli_cpus
            self._cpu_fit += 1
        self._tasks += 1

    def at_once(self) -> AtOnce | None:
        """What bounds them most; None where all have room together."""
        bounds = [AtOnce(self._cpu_fit, "cpus"), AtOnce(self._memory_fit, "memory")]
        if self.parallelism is not None:
            bounds.append(AtOnce(self.parallelism, "parallelism"))
        least = min(bounds, key=lambda bound: bound.tasks)
        return least if least.tasks < self._tasks else None
