"""A task starts after the tasks that it depends on have succeeded. (If one does not, the task is skipped.)"""

from __future__ import annotations

from wavepool.core.gates.base import Gate, Wait
from wavepool.core.state import RunState, TaskState, TaskStatus


class Dependencies(Gate):
    """Waits for the first dependency that is not final; the task is passed over meanwhile."""

    __slots__ = ()

    def check(self, state: RunState, entry: TaskState) -> Wait | None:
        for dependency in entry.task.depends_on:
            if state.tasks[dependency].status is not TaskStatus.FINAL:
                return Wait(dependency_key(dependency), blocks=False)
        return None


def dependency_key(task_id: str) -> tuple[str, str]:
    """Woken when that task is final."""
    return ("task final", task_id)
