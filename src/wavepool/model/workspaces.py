"""Where tasks work, and what came of it there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WorkspaceKind(StrEnum):
    """`SHARED`: all tasks work in the user's directory itself. `WORKTREE`: each in a git worktree of its own, whose
    commits the host makes. `CLONE`: each in a private clone in which it may commit itself.
    """

    SHARED = "shared"
    WORKTREE = "worktree"
    CLONE = "clone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What an attempt changed, brought back out of its workspace.

    Attributes:
        base: commit that it began on, in hex.
        branch: of the user's repository, holding the changes; None where nothing was changed, or nothing came back.
        commit: the branch's tip, in hex.
        patch: file with all of it, relative to the run's directory; None where nothing was changed.
        files, insertions, deletions: the diff's statistics from `base` to what came back.
        committed_by: ``agent``, ``host``, or ``both``; None where there is no commit.
        problem: what could not be brought back, and where it is; None where all was.
    """

    base: str = ""
    branch: str | None = None
    commit: str | None = None
    patch: str | None = None
    files: int = 0
    insertions: int = 0
    deletions: int = 0
    committed_by: str | None = None
    problem: str | None = None
