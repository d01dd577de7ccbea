"""Each attempt works in a private clone, in which it may commit; its commits leave as a bundle made beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from wavepool.errors import InfrastructureError, WorkspaceError
from wavepool.model import AttemptId, Changes, Task
from wavepool.workspace import bundle
from wavepool.workspace.adding import new_branch
from wavepool.workspace.base import Place, Sealed
from wavepool.workspace.bringing import Bringer, some_of
from wavepool.workspace.cloning import borrowed, check_readable, make_clone, mounts_of
from wavepool.workspace.copies import CopiedWorkspaces, is_unbrought, not_brought, to_release
from wavepool.workspace.git import GitError
from wavepool.workspace.names import branch_of, safe_id, task_name
from wavepool.workspace.record import AttemptFiles, Record
from wavepool.workspace.removal import delete, give_to
from wavepool.workspace.standing import agent_owner, taken_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of git in the attempt's own container: `tip` is the base where it brought no commit."""

    tip: str
    problems: tuple[str, ...] = ()


class CloneWorkspaces(CopiedWorkspaces):
    """Clones in ``<run>/work/<key>.<n>/tree``; each shares the repository's objects, which it can only read."""

    NOUN = "clone"
    CONCURRENT = 4
    """They are read at once, too: the disk is one."""

    async def bring_back(self, task: Task, attempt: AttemptId, sealed: Sealed) -> Changes | None:
        """The agent's commits, and one of ours with what it did not commit, on a branch of the user's repository."""
        files = AttemptFiles(self._files, task, attempt)
        try:
            record = files.read()
            if record is None or not record.ready:
                return Changes(problem="its clone was never made, or its record is gone")
            if record.changes is not None:
                return record.changes
            told = await self._bundled(task, attempt, files, record, sealed)
            settle = partial(self._settle, task, attempt, files, record, told)
            return await anyio.to_thread.run_sync(settle, limiter=self._limiter)
        except (WorkspaceError, OSError) as error:
            return Changes(problem=f"nothing could be brought back, all of it is in {files.path}: {error}")

    def _obtain(self, task: Task, attempt: AttemptId) -> Place:
        repository = self._standing.repository
        files = AttemptFiles(self._files, task, attempt)
        record = files.read()
        owner = agent_owner(repository) if self._contained else None
        objects = borrowed(repository)
        if record is None or not record.ready:
            if owner is not None:
                check_readable(objects)
            record = self._make(task, attempt, files, owner, objects)
        env = {**repository.identity, "GIT_CONFIG_COUNT": "1"}
        return Place(
            directory=Path(record.directory),
            mounts=mounts_of(objects) if self._contained else (),
            env={**env, "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
            user=None if owner is None else f"{owner[0]}:{owner[1]}",
        )

    def _make(
        self, task: Task, attempt: AttemptId, files: AttemptFiles, owner: tuple[int, int] | None, objects: list[Path]
    ) -> Record:
        repository = self._standing.repository
        tree = files.path / "tree"
        again = "" if attempt.number == 1 else f"-attempt-{attempt.number}"
        record = Record(
            base=repository.head(),
            directory=os.fspath(tree),
            branch=branch_of(safe_id(task.id, task.key), task_name(task)) + again,
        )
        files.write(record)
        delete(tree)  # half of one, whose maker died over it
        try:
            tree.mkdir(mode=0o755)
            tree.chmod(0o755)
        except OSError as error:
            raise WorkspaceError(f"cannot make {tree}: {error.strerror or error}") from error
        seen = [mount.target for mount in mounts_of(objects)] if self._contained else [os.fspath(objects[0])]
        make_clone(repository, tree, base=record.base, branch=record.branch, objects=seen)
        self._finish(tree)
        give_to(tree, owner)
        return files.write(record, ready=True)

    def _finish(self, tree: Path) -> None:
        """What else a clone of this kind needs, before it is anybody's."""

    async def _bundled(
        self, task: Task, attempt: AttemptId, files: AttemptFiles, record: Record, sealed: Sealed
    ) -> Told:
        """Have the commits put together where the agent worked, and take them; what hinders that is told."""
        output = files.path / "output"
        try:
            place = await anyio.to_thread.run_sync(self._obtain, task, attempt)
            await anyio.to_thread.run_sync(self._empty_output, output)
            argv = bundle.script(record.base)
            code = await sealed(task, attempt, argv, place=place, output=output, timeout_s=bundle.BUNDLE_S)
        except (InfrastructureError, OSError) as error:
            why = f"git could not be run where the agent worked, so its commits are not kept: {error}"
            return Told(tip=record.base, problems=(why,))
        if code == bundle.NO_GIT:
            return Told(tip=record.base)
        if code != 0:
            why = bundle.WHY.get(code, f"git where the agent worked ended with {code}, so its commits are not kept")
            return Told(tip=record.base, problems=(why,))
        return await anyio.to_thread.run_sync(self._taken, files, record, output, limiter=self._limiter)

    def _empty_output(self, output: Path) -> None:
        delete(output)
        output.mkdir(mode=0o700)
        give_to(output, agent_owner(self._standing.repository) if self._contained else None)

    def _taken(self, files: AttemptFiles, record: Record, output: Path) -> Told:
        repository = self._standing.repository
        problems: list[str] = []
        tip = record.base
        try:
            if os.path.lexists(output / "head"):
                tip = bundle.take_commits(repository, output / "head")
        except GitError as error:
            problems.append(f"the agent's commits are refused, its files are in a commit of ours: {error.message}")
        if tip != record.base and not repository.git.succeeds("merge-base", "--is-ancestor", record.base, tip):
            problems.append(
                f"the agent rewrote the history before {record.base[:12]}: its files are in a commit of ours, "
                f"its own last commit is {tip}"
            )
            tip = record.base
        try:
            if os.path.lexists(output / "more"):
                names = some_of(bundle.keep(output / "more", files.bundle))
                problems.append(f"what HEAD does not lead to is in {files.relative(files.bundle)}: {names}")
        except (GitError, OSError) as error:
            problems.append(f"other branches of the agent's are lost: {error}")
        return Told(tip=tip, problems=tuple(problems))

    def _settle(self, task: Task, attempt: AttemptId, files: AttemptFiles, record: Record, told: Told) -> Changes:
        try:
            bringer = self._bringer(task, attempt, files)
            record, left, remarks = self._branched(bringer, files, record, told.tip)
        except (WorkspaceError, OSError) as error:
            return not_brought(files, record, error, *told.problems)
        settled = bringer.settle(record, left=left, problems=(*told.problems, *remarks))
        return settled.changes or Changes(base=record.base)

    def _branched(
        self, bringer: Bringer, files: AttemptFiles, record: Record, tip: str
    ) -> tuple[Record, tuple[str, ...], tuple[str, ...]]:
        repository = self._standing.repository
        done = bool(record.commit) and repository.tip(record.branch) == record.commit
        record, taken = bringer.commit(record, record.commit if done else tip)
        if record.commit and not done:
            written = record
            branch = new_branch(
                repository, record.branch, record.commit, lambda name: _write(files, written, branch=name)
            )
            if branch != written.branch:
                self._standing.notice(taken_words(files.task_id, written.branch, branch))
            record = files.write(record, branch=branch)
        return record, taken.left_out, taken.remarks

    def _release(self, task: Task, attempt: AttemptId) -> None:
        files = AttemptFiles(self._files, task, attempt)
        record = to_release(files)
        if record is None:
            return
        if is_unbrought(record):
            self._bringer(task, attempt, files).save_unbrought(record)
        delete(Path(record.directory))
        delete(files.path / "output")
        (files.path / "index").unlink(missing_ok=True)
        files.write(record, released=True)

    def _bringer(self, task: Task, attempt: AttemptId, files: AttemptFiles) -> Bringer:
        repository = self._standing.repository
        git = repository.git.on(files.path / "tree", index=files.path / "index")
        return Bringer(repository, self._run_id, task=task, attempt=attempt, files=files, git=git)


def _write(files: AttemptFiles, record: Record, **changes: str) -> None:
    files.write(record, **changes)
