"""What worktrees and clones have in common: copies of one repository, each with a record of how far it has come."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import anyio
import anyio.to_thread

from wavepool.errors import WorkspaceError
from wavepool.model import AttemptId, Changes, Task
from wavepool.statedir import RunDir
from wavepool.workspace.base import Place, Workspaces
from wavepool.workspace.record import AttemptFiles, Record, on_disk
from wavepool.workspace.standing import Standing


class CopiedWorkspaces(Workspaces):
    """Copies of the repository that a directory lies in.

    Args:
        workspace: a directory in the repository.
        files: the run's directory.
        contained: tasks run in containers; else git works in a copy as in any.
        notice: told what a user should know. Called from threads of ours.

    Attributes:
        NOUN: what one is called.
        CONCURRENT: how many copies are made and removed at once; those that wait hold no thread.
    """

    NOUN: ClassVar[str]
    CONCURRENT: ClassVar[int]

    def __init__(
        self,
        workspace: Path,
        *,
        files: RunDir,
        run_id: str,
        contained: bool = True,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        self._standing = Standing(workspace, notice=notice)
        self._files = files
        self._run_id = run_id
        self._contained = contained
        self._limiter = anyio.CapacityLimiter(self.CONCURRENT)

    async def check(self) -> None:
        """See that it is a repository with a commit; tell what its copies will lack. Raises InputError."""
        await anyio.to_thread.run_sync(self._standing.check)

    async def obtain(self, task: Task, attempt: AttemptId) -> Place:
        """Make a copy at the commit that is checked out, or find it. Raises WorkspaceError."""
        with on_disk(f"the {self.NOUN} of {attempt} cannot be made"):
            return await anyio.to_thread.run_sync(self._obtain, task, attempt, limiter=self._limiter)

    async def release(self, task: Task, attempt: AttemptId) -> None:
        """Remove it, as far as nothing is in it that is nowhere else. Raises WorkspaceError."""
        with on_disk(f"the {self.NOUN} of {attempt} cannot be removed"):
            await anyio.to_thread.run_sync(self._release, task, attempt, limiter=self._limiter)

    @abstractmethod
    def _obtain(self, task: Task, attempt: AttemptId) -> Place:
        """Blocks."""

    @abstractmethod
    def _release(self, task: Task, attempt: AttemptId) -> None:
        """Blocks."""


def to_release(files: AttemptFiles) -> Record | None:
    """The record of a copy that is to be removed; None where there is none, or it is gone already.

    Raises:
        WorkspaceError: it stays, as it has what could not be brought back.
    """
    record = files.read()
    if record is None or record.released:
        return None
    if record.left:
        raise WorkspaceError(f"{record.directory} stays: it has what could not be brought back")
    return record


def is_unbrought(record: Record) -> bool:
    """Nobody has looked yet for changes in this copy, and it is there."""
    return record.ready and record.changes is None and Path(record.directory).is_dir()


def not_brought(files: AttemptFiles, record: Record, error: Exception, *before: str) -> Changes:
    """Keep, and tell after what went wrong `before`, that the copy stays with all that is in it."""
    words = " ".join(str(error).split())
    problem = "; ".join((*before, f"nothing could be brought back, all of it is in {record.directory}: {words}"))
    changes = Changes(base=record.base, problem=problem)
    files.write(record, changes=changes, left=(record.directory,))
    return changes
