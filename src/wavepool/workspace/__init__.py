"""Workspaces: the directories that tasks work in, and how their changes come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wavepool.model import WorkspaceKind
from wavepool.statedir import RunDir
from wavepool.workspace.base import Place, Sealed, Workspaces
from wavepool.workspace.clone import CloneWorkspaces
from wavepool.workspace.late import LateClones
from wavepool.workspace.shared import SharedWorkspaces, refuse_roots_own
from wavepool.workspace.worktree import WorktreeWorkspaces

__all__ = [
    "CloneWorkspaces",
    "LateClones",
    "Place",
    "Sealed",
    "SharedWorkspaces",
    "Workspaces",
    "WorktreeWorkspaces",
    "open_workspaces",
    "refuse_roots_own",
]


def open_workspaces(
    kind: WorkspaceKind,
    *,
    workspace: Path,
    files: RunDir,
    run_id: str,
    contained: bool = True,
    notice: Callable[[str], None] | None = None,
) -> Workspaces:
    """The workspaces of one run.

    Args:
        workspace: the user's directory.
        files: the run's directory, which exists.
        contained: tasks run in containers, and not as processes of the host.
        notice: told, by `check`, what a user should know; our log otherwise.
    """
    if kind is WorkspaceKind.SHARED:
        return SharedWorkspaces(workspace, contained=contained)
    made = WorktreeWorkspaces if kind is WorkspaceKind.WORKTREE else CloneWorkspaces
    return made(workspace, files=files, run_id=run_id, contained=contained, notice=notice)
