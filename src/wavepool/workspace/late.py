"""Clones for containers that were there before them: whole, as nothing can be mounted into a container that runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wavepool.errors import WorkspaceError
from wavepool.model import AttemptId, Task
from wavepool.statedir import RunDir
from wavepool.workspace.base import Sealed
from wavepool.workspace.clone import CloneWorkspaces, Told
from wavepool.workspace.git import LONG_S, Git, GitError
from wavepool.workspace.record import AttemptFiles, Record


class LateClones(CloneWorkspaces):
    """As `CloneWorkspaces`, but each has its own copy of all objects, and only files come back: the host commits them.

    No container is left in which git could put the agent's own commits together.
    """

    def __init__(
        self, workspace: Path, *, files: RunDir, run_id: str, notice: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(workspace, files=files, run_id=run_id, contained=False, notice=notice)

    def _finish(self, tree: Path) -> None:
        git = Git(git_dir=tree / ".git", work_tree=tree)  # nobody but us was near it yet
        try:
            git.call("repack", "-a", "-d", "-q", timeout_s=LONG_S)
            (tree / ".git" / "objects" / "info" / "alternates").unlink(missing_ok=True)
        except (GitError, OSError) as error:
            raise WorkspaceError(f"the clone {tree} cannot be given objects of its own: {error}") from error

    async def _bundled(
        self, task: Task, attempt: AttemptId, files: AttemptFiles, record: Record, sealed: Sealed
    ) -> Told:
        return Told(tip=record.base)
