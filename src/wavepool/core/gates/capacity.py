"""Never more promised than the budget holds."""

from __future__ import annotations

from collections.abc import Sequence

from wavepool.core.gates.base import Gate, Wait
from wavepool.core.state import RunState, TaskState
from wavepool.model import Node, Resources


class Capacity(Gate):
    """Waits for a node with room. It blocks: a large task that were passed over could wait for ever."""

    __slots__ = ()

    def check(self, state: RunState, entry: TaskState) -> Wait | None:
        if find_node(state.rules.nodes, state.free, entry.task.held()) is not None:
            return None
        return Wait("room", blocks=True)


def find_node(nodes: Sequence[Node], free: Sequence[Resources], held: Resources) -> int | None:
    """The first node with room for `held`, None if there is none. First fit, in the nodes' order.

    CPU is looked at only where the node's capacity names it.
    """
    for index, room in enumerate(free):
        if held.memory_bytes > room.memory_bytes:
            continue
        if nodes[index].capacity.milli_cpus and held.milli_cpus > room.milli_cpus:
            continue
        return index
    return None
