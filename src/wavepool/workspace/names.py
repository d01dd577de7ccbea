"""Names of worktrees and branches, made out of what users call their tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wavepool.model import Task

WORKTREES = ".worktrees"
"""The directory of the repository that has them."""
PART_MAX_CHARACTERS = 48

_SAFE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


def safe_id(task_id: str, key: str) -> str:
    """The id itself where it is safe in a path and in a branch's name, else the key, which always is."""
    plain = _SAFE.fullmatch(task_id) and ".." not in task_id and not task_id.endswith(".lock")
    return task_id if plain else key


def slug(text: str) -> str:
    """Lower-case words with dashes, of at most `PART_MAX_CHARACTERS`; may be empty."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return words[:PART_MAX_CHARACTERS].rstrip("-")


def numbered(name: str) -> Iterator[str]:
    """The name, then ``name-2``, ``name-3``, without an end."""
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def branch_of(identifier: str, name: str = "") -> str:
    """The branch that a task's changes go to, as the seed names it: ``feature/parallel-<name>-<id>``."""
    words = slug(name)
    return f"feature/parallel-{words}-{identifier}" if words and words != slug(identifier) else _alone(identifier)


def task_name(task: Task) -> str:
    """What a task is called beside its id; empty for nothing."""
    name = task.extra.get("name")
    return name if isinstance(name, str) else ""


def _alone(identifier: str) -> str:
    return f"feature/parallel-{identifier}"
