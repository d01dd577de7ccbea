"""Which tasks of a run may be tried again by hand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import NoReturn

from wavepool.core.reopening import failed_tasks, waiting_for
from wavepool.core.state import RunState, TaskState, TaskStatus
from wavepool.errors import SettingError, shorten
from wavepool.model import VerdictKind

NAMED = 8
"""Tasks that an error names at most."""

LOOKED_AT = 10_000
"""Tasks that are looked at for one that may be meant, which takes time for each."""


def tasks_to_retry(state: RunState, named: Sequence[str], *, live: bool = False) -> tuple[str, ...] | None:
    """The tasks to be reopened; None where there is nothing to try again.

    Args:
        state: of the run, replayed or (`live`) gone on with.
        named: ids or keys; none for all that failed.

    Raises:
        SettingError: one of them is not of this run, has succeeded, has not ended, or waits for one that failed and
            is not named.
    """
    if not named:
        failed = tuple(failed_tasks(state))
        return failed if failed or waiting_for(state, failed) else None
    entries = tasks_named(state, named)
    chosen = dict.fromkeys(entry.task.id for entry in entries)
    for entry in entries:
        _check(state, entry, chosen.keys(), live=live)
    return tuple(chosen)


def tasks_named(state: RunState, named: Sequence[str]) -> list[TaskState]:
    """The tasks of these ids, or of these keys: O(tasks) once, however many are named by their keys.

    Raises:
        SettingError: there is none of one of them; the advice names those that may be meant.
    """
    by_key: dict[str, TaskState] = {}
    if not all(each in state.tasks for each in named):
        by_key = {entry.task.key: entry for entry in state.order}
    found = [state.tasks.get(each) or by_key.get(each) for each in named]
    return [entry or _missing(state, each) for each, entry in zip(named, found, strict=True)]


def _missing(state: RunState, task_id: str) -> NoReturn:
    raise SettingError(
        "TASK", task_id, f"a task of run {state.run.run_id}", advice=_there_are(task_id, list(state.tasks))
    )


def _there_are(text: str, known: list[str]) -> str:
    """The tasks that there are, the nearest first: all that are near, and then others up to `NAMED`."""
    near = get_close_matches(text, known[:LOOKED_AT], n=NAMED, cutoff=0.5)
    some = [*near, *(task_id for task_id in known if task_id not in near)][:NAMED]
    meant = f"Did you mean {near[0]!r}? " if near else ""
    return f"{meant}There are {', '.join(map(shorten, some))}{', …' if len(known) > len(some) else ''}."


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
