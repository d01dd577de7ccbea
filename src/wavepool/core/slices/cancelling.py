"""Slice: tasks that somebody cancels while the run goes on with the others."""

from __future__ import annotations

from collections.abc import Iterator

from wavepool.core import events, facts
from wavepool.core.events import Now
from wavepool.core.facts import Fact
from wavepool.core.slices.tasks import skip_dependents
from wavepool.core.state import RunState, TaskStatus
from wavepool.core.stopping import stop_for_user
from wavepool.model import AttemptId, VerdictKind

# -- decide --


def on_unwanted(state: RunState, event: events.Unwanted, now: Now) -> Iterator[Fact]:
    """What runs of them is stopped, what has not begun is skipped, and so are their dependents. The run goes on.

    Of one that has ended, or was cancelled before, nothing follows.
    """
    named = dict.fromkeys(event.tasks)
    wanted = tuple(each for each in named if _can_end(state, each))
    if not wanted:
        return
    yield facts.TasksCancelled(tasks=wanted, at=now.utc)
    for task_id in wanted:
        entry = state.tasks[task_id]
        if entry.status is TaskStatus.ACTIVE:
            yield from stop_for_user(state, AttemptId(task_id, entry.attempts))
        elif entry.status is TaskStatus.PENDING:  # else it was skipped with one that it depends on
            yield facts.TaskSkipped(task_id=task_id, cause="it was cancelled")
            yield from skip_dependents(state, task_id, VerdictKind.CANCELLED)


def _can_end(state: RunState, task_id: str) -> bool:
    entry = state.tasks[task_id]
    return entry.status is not TaskStatus.FINAL and not entry.cancelled


# -- apply --


def tasks_cancelled(state: RunState, fact: facts.TasksCancelled) -> None:
    for task_id in fact.tasks:
        entry = state.tasks[task_id]
        entry.cancelled = entry.excused = True
