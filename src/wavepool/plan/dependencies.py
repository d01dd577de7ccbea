"""What batches wait for: each dependency exists, none leads back to itself, none is out of the schedule's reach."""

from __future__ import annotations

from wavepool.errors import PlanError
from wavepool.model import Schedule, Task
from wavepool.plan.schema import Plan

_NAMED_MAX = 8
"""How many batches of a circle a message names."""


def check_dependencies(plan: Plan) -> None:
    """See that every `depends_on` names a batch of this plan, and that no batch waits for itself.

    Raises:
        PlanError: an unknown batch, or a circle; the message names the circle.
    """
    waiting = {task.id: task for task in plan.tasks if task.depends_on}
    if not waiting:
        return
    ids = {task.id for task in plan.tasks}
    for path, task in plan.paths():
        for needed in task.depends_on:
            if needed not in ids:
                raise PlanError(f"{path}.depends_on", needed, "the batch_id of a batch in this plan")
    circle = find_circle(waiting)
    if circle is not None:
        path = next(path for path, task in plan.paths() if task.id == circle[0])
        raise PlanError(f"{path}.depends_on", drawn(circle), "no circle: each of these batches waits for the next")


def check_schedule(plan: Plan, schedule: Schedule) -> None:
    """See that the schedule can meet every dependency: under barrier, none is on a later wave.

    Raises:
        PlanError: naming the batch and the one that it waits for.
    """
    if schedule is not Schedule.BARRIER or not any(task.depends_on for task in plan.tasks):
        return
    wave_of = {task.id: task.wave for task in plan.tasks}
    for path, task in plan.paths():
        for needed in task.depends_on:
            if wave_of[needed] > task.wave:
                raise PlanError(
                    f"{path}.depends_on",
                    needed,
                    f"a batch of wave {task.wave} or before, not one of wave {wave_of[needed]} "
                    "(with --schedule rolling the order of waves does not matter)",
                )


def find_circle(waiting: dict[str, Task]) -> list[str] | None:
    """The ids of one circle, in the order of waiting; None if there is none. Not recursive: chains may be long."""
    settled: set[str] = set()
    for start in waiting:
        if start in settled:
            continue
        trail = {start: None}  # the batches being followed, in order
        steps = [(start, iter(waiting[start].depends_on))]
        while steps:
            here, rest = steps[-1]
            needed = next(rest, None)
            if needed is None:
                steps.pop()
                del trail[here]
                settled.add(here)
            elif needed in trail:
                followed = list(trail)
                return followed[followed.index(needed) :]
            elif needed in waiting and needed not in settled:
                trail[needed] = None
                steps.append((needed, iter(waiting[needed].depends_on)))
    return None


def drawn(circle: list[str]) -> str:
    named = circle[:_NAMED_MAX] if len(circle) <= _NAMED_MAX else [*circle[:_NAMED_MAX], "…"]
    return " -> ".join([*named, circle[0]])
