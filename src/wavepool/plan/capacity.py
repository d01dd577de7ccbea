"""Whether every task could run at all: alone, on an empty node."""

from __future__ import annotations

from collections.abc import Sequence

from wavepool.errors import PlanError
from wavepool.model import Node, Resources, Rules, Task
from wavepool.plan.schema import Plan
from wavepool.units import format_size, human_size


def check_budget(plan: Plan, rules: Rules) -> None:
    """See that each task fits into the budget of some node, less what is kept for parked containers.

    Raises:
        PlanError: as `check_capacity`.
    """
    kept = f" but for {human_size(rules.warm * rules.parked_bytes)} of --warm {rules.warm}" if rules.warm else ""
    check_capacity(plan, rules.for_attempts(), but_for=kept)


def check_capacity(plan: Plan, nodes: Sequence[Node], *, but_for: str = "") -> None:
    """See that each task fits on at least one node when nothing else runs there.

    Args:
        plan: any plan.
        nodes: with the budget of each, which is at most what the node has.
        but_for: what these budgets are less by, for the message; empty for nothing.

    Raises:
        PlanError: naming the first batch that fits nowhere, what it asks for and what the largest node has.
    """
    fitting: dict[Resources, bool] = {}  # a plan of a million batches has few different limits
    for path, task in plan.paths():
        held = task.held()
        fits = fitting.get(held)
        if fits is None:
            fits = fitting[held] = any(_fits(held, node) for node in nodes)
        if not fits:
            raise _too_large(path, task, nodes, but_for)


def _fits(held: Resources, node: Node) -> bool:
    enough_cpu = node.capacity.milli_cpus == 0 or held.milli_cpus <= node.capacity.milli_cpus
    return held.memory_bytes <= node.capacity.memory_bytes and enough_cpu


def _too_large(path: str, task: Task, nodes: Sequence[Node], but_for: str) -> PlanError:
    held = task.held()
    beside = f" for it and its {len(task.sidecars)} sidecars together" if task.sidecars else ""
    largest = max(nodes, key=lambda node: node.capacity.memory_bytes, default=None)
    if largest is None:
        return PlanError(f"{path}.memory", format_size(held.memory_bytes), "a node to run on; there is none")
    if held.memory_bytes > largest.capacity.memory_bytes:
        what = human_size(largest.capacity.memory_bytes)
        return PlanError(
            f"{path}.memory",
            format_size(held.memory_bytes),
            f"at most {what}{beside}, the whole memory budget of {largest.name}{but_for}",
        )
    cores = max(node.capacity.milli_cpus for node in nodes) / 1000
    asked = held.milli_cpus / 1000 if task.sidecars else task.limits.cpus
    return PlanError(
        f"{path}.cpus", asked, f"at most {cores:g}{beside}, the whole CPU budget of a node, with its memory"
    )
