"""Each attempt works in a git worktree of its own, without git; what it changed the host commits."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import anyio.to_thread

from wavepool.errors import WorkspaceError
from wavepool.model import AttemptId, Changes, Mount, Task
from wavepool.workspace.adding import add_worktree, take_away
from wavepool.workspace.base import Place, Sealed
from wavepool.workspace.bringing import Bringer
from wavepool.workspace.copies import CopiedWorkspaces, is_unbrought, not_brought, to_release
from wavepool.workspace.names import branch_of, safe_id, task_name
from wavepool.workspace.record import AttemptFiles, Record
from wavepool.workspace.removal import give_to
from wavepool.workspace.shared import GUARDED
from wavepool.workspace.standing import agent_owner, taken_words

NO_GIT = "gitdir: /git-is-kept-on-the-host\n"
"""Seen inside as the worktree's ``.git``, read-only: git says that there is no repository, and why."""


class WorktreeWorkspaces(CopiedWorkspaces):
    """Worktrees in ``.worktrees/task-<id>`` on branches ``feature/parallel-<name>-<id>``."""

    NOUN = "worktree"
    CONCURRENT = 1

    async def bring_back(self, task: Task, attempt: AttemptId, sealed: Sealed) -> Changes | None:
        """Commit what the files have beyond the branch. Nothing in the worktree is executed."""
        try:
            return await anyio.to_thread.run_sync(self._bring_back, task, attempt)
        except (WorkspaceError, OSError) as error:
            return Changes(problem=f"nothing could be brought back: {error}")

    def _obtain(self, task: Task, attempt: AttemptId) -> Place:
        files = AttemptFiles(self._files, task, attempt)
        record = files.read()
        if record is None or not record.ready:
            record = self._add(task, attempt, files, record)
        if not self._contained:
            return Place(directory=Path(record.directory))
        mask = files.path / "git"
        mask.write_text(NO_GIT)
        mask.chmod(0o644)
        owner = agent_owner(self._standing.repository)
        return Place(
            directory=Path(record.directory),
            mounts=(Mount(source=os.fspath(mask), target=GUARDED),),
            user=None if owner is None else f"{owner[0]}:{owner[1]}",
        )

    def _add(self, task: Task, attempt: AttemptId, files: AttemptFiles, half: Record | None) -> Record:
        repository = self._standing.repository
        identifier = safe_id(task.id, task.key)
        again = "" if attempt.number == 1 else f"-attempt-{attempt.number}"
        with repository.turn():
            if half is not None:  # its maker died over it; no task has run in it
                self._undo(half)
            base = repository.head()
            wanted = branch_of(identifier, task_name(task)) + again
            place, branch, admin = add_worktree(
                repository,
                name=f"task-{identifier}{again}",
                branch=wanted,
                commit=base,
                intend=lambda place, branch: _intend(files, base, place, branch),
            )
            if branch != wanted:
                self._standing.notice(taken_words(task.id, wanted, branch))
        if self._contained:
            give_to(place, agent_owner(repository), spare=".git")
        return files.write(
            Record(base=base, directory=os.fspath(place), branch=branch, admin=os.fspath(admin), ready=True)
        )

    def _undo(self, half: Record) -> None:
        take_away(self._standing.repository, Path(half.directory))
        self._standing.repository.drop_branch(half.branch, half.base)

    def _bring_back(self, task: Task, attempt: AttemptId) -> Changes:
        files = AttemptFiles(self._files, task, attempt)
        record = files.read()
        if record is None or not record.ready:
            return Changes(problem="its worktree was never made, or its record is gone")
        if record.changes is not None:
            return record.changes
        try:
            bringer = self._bringer(task, attempt, files, record)
            record, left, problems = self._committed(bringer, record)
        except (WorkspaceError, OSError) as error:
            return not_brought(files, record, error)
        return bringer.settle(record, left=left, problems=problems).changes or Changes(base=record.base)

    def _committed(self, bringer: Bringer, record: Record) -> tuple[Record, tuple[str, ...], tuple[str, ...]]:
        repository = self._standing.repository
        tip = repository.tip(record.branch)
        if tip is None:
            tip = record.base
            repository.make_branch(record.branch, tip)
        if not self._contained:
            tip = self._advanced(record, tip)
        record, taken = bringer.commit(record, tip)
        if record.commit and record.commit != tip:
            repository.move_branch(record.branch, record.commit, tip)
        return record, taken.left_out, taken.remarks

    def _advanced(self, record: Record, tip: str) -> str:
        """Without containers git works in there: commits that were made beside the branch come onto it."""
        repository = self._standing.repository
        git = repository.of_worktree(Path(record.admin), Path(record.directory))
        head = git.line("rev-parse", "--verify", "HEAD^{commit}")
        if head != tip and repository.git.succeeds("merge-base", "--is-ancestor", tip, head):
            repository.move_branch(record.branch, head, tip)
            return head
        return tip

    def _release(self, task: Task, attempt: AttemptId) -> None:
        files = AttemptFiles(self._files, task, attempt)
        record = to_release(files)
        if record is None:
            return
        if is_unbrought(record):
            self._bringer(task, attempt, files, record).save_unbrought(record)
        with self._standing.repository.turn():
            take_away(self._standing.repository, Path(record.directory))
            if not record.commit:
                self._standing.repository.drop_branch(record.branch, record.base)
        files.write(record, released=True)

    def _bringer(self, task: Task, attempt: AttemptId, files: AttemptFiles, record: Record) -> Bringer:
        git = self._standing.repository.of_worktree(Path(record.admin), Path(record.directory))
        return Bringer(self._standing.repository, self._run_id, task=task, attempt=attempt, files=files, git=git)


def _intend(files: AttemptFiles, base: str, place: Path, branch: str) -> None:
    files.write(Record(base=base, directory=os.fspath(place), branch=branch))
