"""How the files of an ended attempt become a commit, a branch, a patch, and figures: the same for every kind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from wavepool.errors import WorkspaceError
from wavepool.model import AttemptId, Changes, Task
from wavepool.workspace.diff import figures, write_patch
from wavepool.workspace.git import Git, GitError
from wavepool.workspace.names import task_name
from wavepool.workspace.record import AttemptFiles, Record
from wavepool.workspace.repository import Repository
from wavepool.workspace.snapshot import Snapshot, snapshot

NAMED = 10
"""So many paths are named in a sentence."""
LONGEST = 200
"""Characters of one; a longer one loses its middle."""


class Bringer:
    """Brings back the changes of one attempt.

    Args:
        run_id: for the commit's message.
        git: on the files, with an index of the host's.
    """

    def __init__(
        self, repository: Repository, run_id: str, *, task: Task, attempt: AttemptId, files: AttemptFiles, git: Git
    ) -> None:
        self._repository = repository
        self._run_id = run_id
        self._task = task
        self._attempt = attempt
        self._files = files
        self._git = git

    def commit(self, record: Record, tip: str) -> tuple[Record, Snapshot]:
        """Make a commit of what the files have beyond `tip`, and write down which commit the branch is to have.

        Raises:
            GitError: the files cannot be read.
        """
        taken = snapshot(self._git, tip)
        self._repository.give_back("objects")
        agent = None if tip == record.base else "agent"
        if tip == record.commit:
            return record, taken  # whoever put it on the branch died before he could tell
        if taken.tree == self._repository.git.line("rev-parse", f"{tip}^{{tree}}"):
            return self._files.write(record, commit="" if agent is None else tip, by=agent), taken
        made = self._repository.commit(taken.tree, parent=tip, message=self._message())
        return self._files.write(record, commit=made, by="both" if agent else "host"), taken

    def settle(self, record: Record, *, problems: Sequence[str] = (), left: Sequence[str] = ()) -> Record:
        """Say what came back, once the branch is where it belongs; and write the patch."""
        told = [*problems]
        if left:
            told.append(f"not brought back, only in {record.directory}: {some_of(left)}")
        changes = Changes(base=record.base)
        if record.commit:
            changes = replace(changes, branch=record.branch, commit=record.commit, committed_by=record.by)
            try:
                changes = self._with_figures(changes, record)
            except (GitError, OSError) as error:
                told.append(f"its changes are on the branch, and no patch could be made of them: {error}")
        problem = "; ".join(" ".join(each.split()) for each in told) or None
        return self._files.write(record, changes=replace(changes, problem=problem), left=tuple(left))

    def _with_figures(self, changes: Changes, record: Record) -> Changes:
        counted = figures(self._repository.git, record.base, record.commit)
        written = write_patch(self._repository.git, record.base, record.commit, self._files.patch)
        return replace(
            changes,
            files=counted.files,
            insertions=counted.insertions,
            deletions=counted.deletions,
            patch=self._files.relative(self._files.patch) if written else None,
        )

    def save_unbrought(self, record: Record) -> Path | None:
        """Write a patch of all that the files have beyond the base; None where that is nothing, or nothing is there.

        Raises:
            WorkspaceError: it cannot be written.
        """
        try:
            taken = snapshot(self._git, record.base)
            tree = self._repository.git.line("rev-parse", f"{record.base}^{{tree}}")
            if taken.left_out:
                raise WorkspaceError(f"{record.directory} has what no patch can hold: {some_of(taken.left_out)}")
            if taken.tree == tree:
                return None
            if not write_patch(self._repository.git, tree, taken.tree, self._files.unbrought):
                raise WorkspaceError(f"a patch of {record.directory} would be too large")
        except OSError as error:
            raise WorkspaceError(f"cannot save {record.directory} as a patch: {error.strerror or error}") from error
        finally:
            with suppress(OSError):
                self._repository.give_back("objects")
        return self._files.unbrought

    def _message(self) -> str:
        words = " ".join((task_name(self._task) or self._task.id).split()).replace("\0", "")
        return (
            f"{words[:120]}\n\nWavepool-Run: {self._run_id}\n"
            f"Wavepool-Task: {self._task.key}\nWavepool-Attempt: {self._attempt.number}\n"
        )


def some_of(names: Sequence[str]) -> str:
    """So many of them as a sentence can bear."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (
        ", ".join(
            each if len(each) <= LONGEST else f"{each[: LONGEST // 2]}…{each[-LONGEST // 2 :]}"
            for each in names[:NAMED]
        )
        + more
    )
