"""All tasks work in the user's own directory, or each in one that the user gave it; nothing has to be brought back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from wavepool.errors import InputError, WorkspaceError
from wavepool.model import AttemptId, Changes, Mount, Task
from wavepool.workspace.base import Place, Sealed, Workspaces
from wavepool.workspace.git import GitError, look_up
from wavepool.workspace.record import on_disk

GUARDED = "/workspace/.git"
"""Where a read-only mount keeps what is git's of the host's."""


def shared_place(workspace: Path) -> Place:
    """A directory as it is, in containers; the ``.git`` that it has now cannot be written to."""
    git = workspace / ".git"
    guard = (Mount(source=os.fspath(git), target=GUARDED),) if os.path.lexists(git) else ()
    return Place(directory=workspace, mounts=guard)


class SharedWorkspaces(Workspaces):
    """The user's directory. Where it is the top of a repository, its ``.git`` can be read inside and not written to.

    Args:
        contained: tasks run in containers.
    """

    def __init__(self, workspace: Path, *, contained: bool = True) -> None:
        self._workspace = workspace
        self._contained = contained

    async def check(self) -> None:
        """Nothing is needed."""

    async def obtain(self, task: Task, attempt: AttemptId) -> Place:
        """The directory as it is.

        Raises:
            WorkspaceError: an agent would work in it as root.
        """
        workspace = Path(task.workspace) if task.workspace is not None else self._workspace
        if not self._contained:
            return Place(directory=workspace)
        if task.agent is not None and _owner(workspace) == 0:
            refused = roots_own(workspace)
            raise WorkspaceError(refused.message, advice=refused.advice)
        return shared_place(workspace)

    async def bring_back(self, task: Task, attempt: AttemptId, sealed: Sealed) -> Changes | None:
        """None: it is there already."""
        return None

    async def release(self, task: Task, attempt: AttemptId) -> None:
        """It is the user's, and stays."""


def refuse_roots_own(tasks: Iterable[Task], workspace: Path) -> None:
    """See that no agent of `tasks` would share a directory with root; before anything is started.

    Raises:
        InputError: one would.
        WorkspaceError: a directory cannot be looked at.
    """
    agents = (task for task in tasks if task.agent is not None)
    for directory in dict.fromkeys(Path(task.workspace) if task.workspace else workspace for task in agents):
        if _owner(directory) == 0:
            raise roots_own(directory)


def roots_own(directory: Path) -> InputError:
    """The refusal, with what can be done here: a clone needs a repository."""
    first = "run `git init` and commit in it, then "
    with suppress(GitError):  # no git: the same as no repository
        first = "" if look_up(directory, "--git-dir") else first
    clone = f"{first}give each agent a private clone with `--workspace-kind clone`"
    return InputError(
        f"{directory} belongs to root, and agents never work as root",
        advice=f"{clone[0].upper()}{clone[1:]}. Or give the directory to another user: `chown -R USER {directory}`.",
    )


def _owner(directory: Path) -> int:
    with on_disk("the workspace cannot be used"):
        return directory.stat().st_uid
