"""What failed, told once for all that failed alike: by verdict, exit code, and reason without what names one task."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2s

from wavepool.model import Verdict
from wavepool.monitoring.documents.runs import FailureGroup

GROUPS_SHOWN = 50
"""In a document: those with the most tasks."""

NAMED = 4
"""Tasks of a group that are named, those that failed first."""

_ONE_OF_MANY = re.compile(r"\b[0-9a-f]{12,}\b|\d+(?:\.\d+)?")
"""What differs between tasks that failed alike: ids in hexadecimal digits, and figures."""


@dataclass(slots=True)
class _Group:
    id: str
    state: str
    why: str
    exit_code: int | None
    tasks: dict[str, None] = field(default_factory=dict)


class CauseBook:
    """Of one run. Each change costs the same, however many have failed.

    Attributes:
        changes: how often something was put or taken away.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._groups: dict[str, _Group] = {}
        self._by_task: dict[str, _Group] = {}

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    def put(self, task_id: str, verdict: Verdict) -> None:
        """This task has failed."""
        self.drop(task_id)
        why = verdict.evidence.reason or ""
        kind = f"{verdict.kind.value}\n{verdict.exit_code}\n{_ONE_OF_MANY.sub('…', why)}"
        group_id = blake2s(kind.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        group = self._groups.get(group_id)
        if group is None:
            group = _Group(group_id, verdict.kind.value, why, verdict.exit_code)
            self._groups[group_id] = group
        group.tasks[task_id] = None
        self._by_task[task_id] = group
        self.changes += 1

    def drop(self, task_id: str) -> None:
        """It has not, or not any more."""
        group = self._by_task.pop(task_id, None)
        if group is None:
            return
        self.changes += 1
        del group.tasks[task_id]
        if not group.tasks:
            del self._groups[group.id]

    def of(self, task_id: str) -> str | None:
        """The id of the group that it is in."""
        group = self._by_task.get(task_id)
        return None if group is None else group.id

    def largest(self, key_of: Callable[[str], str]) -> dict[str, FailureGroup]:
        """The largest groups by their ids, as documents have them. `key_of`: of a task, from its id."""
        groups = heapq.nlargest(GROUPS_SHOWN, self._groups.values(), key=lambda group: len(group.tasks))
        return {group.id: _entry(group, key_of) for group in groups}


def _entry(group: _Group, key_of: Callable[[str], str]) -> FailureGroup:
    first = [task_id for task_id, _ in zip(group.tasks, range(NAMED), strict=False)]
    entry = FailureGroup(
        id=group.id,
        state=group.state,
        why=group.why,
        count=len(group.tasks),
        first={key_of(task_id): task_id for task_id in first},
    )
    if group.exit_code is not None:
        entry["exit_code"] = group.exit_code
    return entry
