"""Whether every task could run at all: alone, on an empty node."""

from __future__ import annotations

from collections.abc import Sequence

from wavepool.errors import PlanError
from wavepool.model import Limits, Node
from wavepool.plan.schema import Plan
from wavepool.units import format_size, human_size


def check_capacity(plan: Plan, nodes: Sequence[Node]) -> None:
    """See that each task fits on at least one node when nothing else runs there.

    Args:
        plan: any plan.
        nodes: with the budget of each, which is at most what the node has.

    Raises:
        PlanError: naming the first batch that fits nowhere, what it asks for and what the largest node has.
    """
    fitting: dict[Limits, bool] = {}  # a plan of a million batches has few different limits
    for path, task in plan.paths():
        fits = fitting.get(task.limits)
        if fits is None:
            fits = fitting[task.limits] = any(_fits(task.limits, node) for node in nodes)
        if not fits:
            raise _too_large(path, task.limits, nodes)


def _fits(limits: Limits, node: Node) -> bool:
    held = limits.held()
    enough_cpu = node.capacity.milli_cpus == 0 or held.milli_cpus <= node.capacity.milli_cpus
    return held.memory_bytes <= node.capacity.memory_bytes and enough_cpu


def _too_large(path: str, limits: Limits, nodes: Sequence[Node]) -> PlanError:
    largest = max(nodes, key=lambda node: node.capacity.memory_bytes, default=None)
    if largest is None:
        return PlanError(f"{path}.memory", format_size(limits.memory_bytes), "a node to run on; there is none")
    if limits.memory_bytes > largest.capacity.memory_bytes:
        what = human_size(largest.capacity.memory_bytes)
        return PlanError(
            f"{path}.memory",
            format_size(limits.memory_bytes),
            f"at most {what}, the whole memory budget of {largest.name}",
        )
    cores = max(node.capacity.milli_cpus for node in nodes) / 1000
    return PlanError(f"{path}.cpus", limits.cpus, f"at most {cores:g}, the whole CPU budget of a node, with its memory")
