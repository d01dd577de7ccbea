"""Which tasks of a run may be tried again by hand."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from wavepool.core.slices.reopening import failed_tasks, waiting_for
from wavepool.core.state import RunState, TaskState, TaskStatus
from wavepool.engine.naming import tasks_named
from wavepool.errors import SettingError
from wavepool.model import VerdictKind


def tasks_to_retry(state: RunState, named: Sequence[str], *, live: bool = False) -> tuple[str, ...] | None:
    """The tasks to be reopened; None where there is nothing to try again.

    Args:
        state: of the run, replayed or (`live`) gone on with.
        named: as people name them (`naming.tasks_named`); none for all that failed.

    Raises:
        UnknownTask: one of them is not of this run.
        SettingError: one has succeeded, has not ended, or waits for one that failed and is not named.
    """
    if not named:
        failed = tuple(failed_tasks(state))
        return failed if failed or waiting_for(state, failed) else None
    entries = entries_named(state, named)
    chosen = dict.fromkeys(entry.task.id for entry in entries)
    for entry in entries:
        _check(state, entry, chosen.keys(), live=live)
    return tuple(chosen)


def entries_named(state: RunState, named: Sequence[str]) -> list[TaskState]:
    """The tasks that somebody named so. Raises UnknownTask, as `naming.tasks_named`."""
    return tasks_named(named, state.tasks, lambda entry: entry.task)


def _check(state: RunState, entry: TaskState, chosen: Collection[str], *, live: bool) -> None:
    task_id, run_id = entry.task.id, state.run.run_id
    if entry.status is not TaskStatus.FINAL:
        raise SettingError(
            "TASK",
            task_id,
            f"a task that has ended; this one is {entry.status}",
            advice="" if live else f"`wavepool resume {run_id}` goes on with it.",
        )
    if entry.verdict is VerdictKind.SUCCESS:
        raise SettingError("TASK", task_id, "a task that did not succeed; this one did")
    for dependency in entry.task.depends_on:
        needed = state.tasks[dependency]
        under_way = live and needed.status is not TaskStatus.FINAL  # then it waits for that
        if dependency not in chosen and not under_way and needed.verdict is not VerdictKind.SUCCESS:
            raise SettingError(
                "TASK",
                task_id,
                f"one that could start; its dependency {dependency!r} did not succeed",
                advice=f"Name {dependency!r} too, or try all that failed again: `wavepool retry {run_id} --failed`.",
            )
