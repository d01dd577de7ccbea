"""Worktrees by hand, for programs that were written for the seed: made by name, kept until they are cleaned up.

::

    worktrees = WorktreeManager("path/to/repository")
    info = worktrees.create_worktree("task-1", "Fix the login")
    ...                                   # somebody works in info.worktree_path
    worktrees.collect_worktree_results("task-1", "results")
    worktrees.cleanup_worktree("task-1")

All of it blocks. What it knows stands in the repository's git directory, under the lock that every process takes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wavepool.errors import InputError, WorkspaceError
from wavepool.workspace.adding import add_worktree, admin_of, take_away
from wavepool.workspace.bringing import some_of
from wavepool.workspace.diff import write_patch
from wavepool.workspace.git import Git
from wavepool.workspace.names import branch_of, safe_id, slug
from wavepool.workspace.repository import Repository
from wavepool.workspace.snapshot import snapshot

KNOWN_FILE = "wavepool-worktrees.json"
"""In the repository's git directory."""

STATUSES = ("created", "active", "completed", "failed", "cancelled")

_CREATING = "creating"
"""Written down before it is made; seen by nobody else, unless its maker died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorktreeInfo:
    """One worktree.

    Attributes:
        status: one of `STATUSES`.
        created_at: aware UTC.
        pid: of the process that works in it, where somebody has told.
        base: commit that it began on.
    """

    task_id: str
    task_name: str
    worktree_path: Path
    branch_name: str
    status: str
    created_at: datetime
    pid: int | None = None
    base: str = ""


class WorktreeManager:
    """The worktrees of one repository that were made by name.

    Raises:
        InputError: `project_root` lies in no repository with a checkout.
    """

    def __init__(self, project_root: str | os.PathLike[str] = ".") -> None:
        self._repository = Repository.at(Path(project_root).resolve())

    def create_worktree(self, task_id: str, task_name: str = "", base_branch: str = "HEAD") -> WorktreeInfo:
        """Make the worktree of a task on a new branch at `base_branch`, any commit.

        Raises:
            InputError: the task has one already, or there is no such commit.
            WorkspaceError: it cannot be made.
        """
        if not task_id:
            raise InputError("a task needs an id", advice="Give any text that is not empty.")
        commit = self._commit(base_branch)
        identifier = safe_id(task_id, slug(task_id) or task_id.encode().hex()[:40])
        with self._known() as known:
            there = known.get(task_id)
            if there is not None and there.status == _CREATING:
                self._take_away(known, there)
            elif there is not None:
                raise InputError(
                    f"task {task_id} has the worktree {there.worktree_path} already",
                    advice="Take that one with get_worktree, or remove it with cleanup_worktree.",
                )

            def intend(place: Path, branch: str) -> None:
                known[task_id] = WorktreeInfo(
                    task_id=task_id,
                    task_name=task_name,
                    worktree_path=place,
                    branch_name=branch,
                    status=_CREATING,
                    created_at=datetime.now(UTC),
                    base=commit,
                )
                self._write(known)

            add_worktree(
                self._repository,
                name=f"task-{identifier}",
                branch=branch_of(identifier, task_name),
                commit=commit,
                intend=intend,
            )
            known[task_id] = replace(known[task_id], status=STATUSES[0])
            return known[task_id]

    def get_worktree(self, task_id: str) -> WorktreeInfo | None:
        """The worktree of a task; None where it has none. Raises WorkspaceError."""
        info = self._read().get(task_id)
        return None if info is None or info.status == _CREATING else info

    def list_worktrees(self) -> list[WorktreeInfo]:
        """All, the oldest first. Raises WorkspaceError."""
        known = [info for info in self._read().values() if info.status != _CREATING]
        return sorted(known, key=lambda info: info.created_at)

    def git_dir_of(self, info: WorktreeInfo) -> Path | None:
        """The git directory of a worktree, which lies in the repository; None where git knows of none."""
        return self._admin(info)

    def update_worktree_status(self, task_id: str, status: str, pid: int | None = None) -> WorktreeInfo:
        """Tell how far its task is, and which process works in it; what is None stays.

        Raises:
            InputError: no such worktree, or no such status.
        """
        if status not in STATUSES:
            raise InputError(f"{status!r} is no status of a worktree", advice=f"Say one of {', '.join(STATUSES)}.")
        with self._known() as known:
            info = self._of(known, task_id)
            known[task_id] = replace(info, status=status, pid=info.pid if pid is None else pid)
            return known[task_id]

    def collect_worktree_results(self, task_id: str, output_dir: str | os.PathLike[str]) -> Path | None:
        """Commit what its files have beyond its branch, and write all that it changed to ``<output_dir>/<id>.patch``.

        Returns:
            The patch; None where nothing was changed.

        Raises:
            InputError: no such worktree.
            WorkspaceError: it cannot be read, or has what git cannot hold.
        """
        with self._known() as known:
            info = self._of(known, task_id)
            tip = self._commit_files(info)
        if tip == info.base:
            return None
        target = Path(output_dir)
        patch = target / f"{info.worktree_path.name.removeprefix('task-')}.patch"
        try:
            target.mkdir(parents=True, exist_ok=True)
            if not write_patch(self._repository.git, info.base, tip, patch):
                raise WorkspaceError(f"a patch of {info.worktree_path} would be too large; {info.branch_name} has it")
        except OSError as error:
            raise WorkspaceError(f"cannot write {patch}: {error.strerror or error}") from error
        return patch

    def cleanup_worktree(self, task_id: str, force: bool = False) -> bool:
        """Remove a worktree; its branch stays where it has changes. False where the task has none.

        Args:
            force: what was not committed is lost. Else it is committed to the branch first.

        Raises:
            WorkspaceError: it cannot be removed, or has what git cannot hold.
        """
        with self._known() as known:
            info = known.get(task_id)
            if info is None:
                return False
            whole = self._admin(info) is not None and info.worktree_path.is_dir() and info.status != _CREATING
            if whole and not force:
                self._commit_files(info)
            self._take_away(known, info)
        return True

    def cleanup_all_worktrees(self, force: bool = False) -> int:
        """Remove all that were made by name, and no others; how many. Raises WorkspaceError at the first that stays."""
        return sum(self.cleanup_worktree(info.task_id, force=force) for info in self.list_worktrees())

    def validate_worktree(self, task_id: str) -> bool:
        """True where its directory, git's record of it and its branch are all there. Raises WorkspaceError."""
        info = self.get_worktree(task_id)
        if info is None or not info.worktree_path.is_dir() or self._admin(info) is None:
            return False
        return self._repository.tip(info.branch_name) is not None

    def _commit_files(self, info: WorktreeInfo) -> str:
        """The branch's tip, once it has all that the files have."""
        admin, tip = self._admin(info), self._repository.tip(info.branch_name)
        if admin is None or tip is None or not info.worktree_path.is_dir():
            raise WorkspaceError(f"{info.worktree_path} is no worktree of {self._repository.top} any more")
        taken = snapshot(Git(git_dir=admin, work_tree=info.worktree_path, settings=self._repository.git.settings), tip)
        if taken.left_out:
            raise WorkspaceError(f"{info.worktree_path} has what git does not take: {some_of(taken.left_out)}")
        if taken.tree == self._repository.git.line("rev-parse", f"{tip}^{{tree}}"):
            return tip
        message = f"{' '.join((info.task_name or info.task_id).split())[:120]}\n"
        made = self._repository.commit(taken.tree, parent=tip, message=message)
        self._repository.move_branch(info.branch_name, made, tip)
        return made

    def _take_away(self, known: dict[str, WorktreeInfo], info: WorktreeInfo) -> None:
        take_away(self._repository, info.worktree_path)
        self._repository.drop_branch(info.branch_name, info.base)
        del known[info.task_id]

    def _admin(self, info: WorktreeInfo) -> Path | None:
        return admin_of(self._repository, info.worktree_path)

    def _commit(self, name: str) -> str:
        answer = self._repository.git.call(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", codes=None
        )
        if answer.exit_code:
            raise InputError(f"{self._repository.top} has no commit {name}", advice="`git branch` lists what it has.")
        return answer.out.decode().strip()

    @staticmethod
    def _of(known: dict[str, WorktreeInfo], task_id: str) -> WorktreeInfo:
        try:
            return known[task_id]
        except KeyError:
            raise InputError(f"task {task_id} has no worktree", advice="Make one with create_worktree.") from None

    @contextmanager
    def _known(self) -> Iterator[dict[str, WorktreeInfo]]:
        """What is known, under the repository's lock; written back where it was changed."""
        with self._repository.turn():
            known = self._read()
            before = dict(known)
            try:
                yield known
            finally:
                if known != before:
                    self._write(known)

    def _read(self) -> dict[str, WorktreeInfo]:
        path = self._repository.common / KNOWN_FILE
        try:
            return {key: _info(each) for key, each in json.loads(path.read_text("utf-8")).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise WorkspaceError(f"{path} cannot be read: {error}", advice="`git worktree list` knows all.") from error

    def _write(self, known: dict[str, WorktreeInfo]) -> None:
        """Put it on the disk; nobody ever reads half of it."""
        path = self._repository.common / KNOWN_FILE
        new = path.with_suffix(".new")
        try:
            with open(new, "w", encoding="utf-8") as file:
                json.dump({key: _json(each) for key, each in known.items()}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            new.rename(path)
        except OSError as error:
            raise WorkspaceError(f"cannot write {path}: {error.strerror or error}") from error
        self._repository.give_back(KNOWN_FILE)


def _json(info: WorktreeInfo) -> dict[str, Any]:
    return {
        **asdict(info),
        "worktree_path": os.fspath(info.worktree_path),
        "created_at": info.created_at.isoformat(),
    }


def _info(value: dict[str, Any]) -> WorktreeInfo:
    value["worktree_path"] = Path(value["worktree_path"])
    value["created_at"] = datetime.fromisoformat(value["created_at"])
    return WorktreeInfo(**value)
