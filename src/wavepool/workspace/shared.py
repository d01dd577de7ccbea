"""All tasks work in the user's own directory, or each in one that the user gave it; nothing has to be brought back."""

from __future__ import annotations

import os
from pathlib import Path

from wavepool.errors import WorkspaceError
from wavepool.model import AttemptId, Changes, Mount, Task
from wavepool.workspace.base import Place, Sealed, Workspaces
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
            raise WorkspaceError(
                f"{workspace} belongs to root, and agents never work as root",
                advice="Give each a private clone with `--workspace-kind clone`, or the directory to another user.",
            )
        return shared_place(workspace)

    async def bring_back(self, task: Task, attempt: AttemptId, sealed: Sealed) -> Changes | None:
        """None: it is there already."""
        return None

    async def release(self, task: Task, attempt: AttemptId) -> None:
        """It is the user's, and stays."""


def _owner(directory: Path) -> int:
    with on_disk("the workspace cannot be used"):
        return directory.stat().st_uid
