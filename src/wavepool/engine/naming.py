"""How people name tasks of a run: by their ids, by their keys, or by the start of an id that fits no other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice, takewhile
from typing import TypeVar

from wavepool.errors import InputError, shorten
from wavepool.model import Task

Entry = TypeVar("Entry")

NAMED = 5
"""Tasks that an error names at most."""

LOOKED_AT = 10_000
"""Tasks that are looked at for one that may be meant, which takes time for each."""


class UnknownTask(InputError):
    """The run has no such task."""

    code = "unknown_task"


def task_named(text: str, tasks: Mapping[str, Entry], task_of: Callable[[Entry], Task]) -> Entry:
    """The one that is named so; see `tasks_named`."""
    return tasks_named((text,), tasks, task_of)[0]


def tasks_named(texts: Sequence[str], tasks: Mapping[str, Entry], task_of: Callable[[Entry], Task]) -> list[Entry]:
    """For each text the one of this id or key, or of an id that starts so, if it is the only one.

    All tasks are gone through once, however many are named, and not at all where all are named by their ids.

    Args:
        texts: as somebody typed them.
        tasks: whatever is known of each, by id, in the order of the plan.
        task_of: the task of such an entry.

    Raises:
        UnknownTask: there is none, or there are several; the advice names those that may be meant.
    """
    by_key: dict[str, Entry] = {}
    in_order: list[str] = []
    if not all(text in tasks for text in texts):
        by_key = {task_of(entry).key: entry for entry in tasks.values()}
        in_order = sorted(tasks)
    return [tasks.get(text) or by_key.get(text) or tasks[_only_start(text, tasks, in_order)] for text in texts]


def _only_start(text: str, tasks: Mapping[str, Entry], in_order: list[str]) -> str:
    """The one id that starts so. Raises UnknownTask."""
    start = bisect_left(in_order, text)
    fitting = list(takewhile(lambda each: each.startswith(text), islice(in_order, start, None))) if text else []
    if len(fitting) == 1:
        return fitting[0]
    near = fitting or get_close_matches(text, islice(tasks, LOOKED_AT), n=NAMED, cutoff=0.5) or list(tasks)
    some = ", ".join(map(shorten, near[:NAMED])) + (", …" if len(near) > NAMED else "")
    what = f"is the start of {len(fitting)} tasks" if fitting else "is no task of this run"
    raise UnknownTask(f"{shorten(text)} {what}", advice=f"There are {some}." if some else "It has none.")
