"""Whoever makes, brings back or removes a workspace may die at any step: the next one goes on, and nothing is lost."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from git_ground import Ground, as_process, first, plain_git, task

from wavepool.errors import WorkspaceError
from wavepool.model import Changes
from wavepool.workspace.git import Answer, Git, GitError
from wavepool.workspace.record import AttemptFiles, Record
from wavepool.workspace.removal import delete

pytestmark = pytest.mark.anyio

KINDS = pytest.mark.parametrize("kind", ["worktree", "clone"])


class Died(BaseException):
    """Stands for a kill: nobody catches it."""


class Mortal:
    """Dies right after the nth thing that is done on the disk by git or by a record."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = -1
        self._call, self._write = Git.call, AttemptFiles.write
        patch.setattr(Git, "call", lambda git, *a, **k: self._step(self._call, git, *a, **k))
        patch.setattr(AttemptFiles, "write", lambda files, *a, **k: self._step(self._write, files, *a, **k))

    def _step(self, do: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        answer: Answer | Record = do(*arguments, **named)
        if self.left > 0:
            self.left -= 1
            if self.left == 0:
                raise Died
        return answer


async def life(ground: Ground, kind: str, number: int) -> Changes:
    """A task from its beginning to its end, whatever of it was done before."""
    workspaces, one = ground.open(kind), task(f"t{number}")
    place = await workspaces.obtain(one, first(one))
    if place.directory.exists():
        (place.directory / "README").write_text(f"{number}\n")
    changes = await workspaces.bring_back(one, first(one), as_process)
    await workspaces.release(one, first(one))
    assert changes is not None
    return changes


@KINDS
@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)])
async def test_any_step_of_a_workspace_may_be_the_last_of_a_process(
    tmp_path: Path, kind: str, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One life dies after step n, the next one does all of it; n grows until no step is left."""
    ground, mortal = Ground(tmp_path), Mortal(monkeypatch)
    numbers: list[int] = []
    died = True
    while died:
        numbers.append(1 + len(numbers) * stride)
        mortal.left, died = numbers[-1], False
        try:
            await life(ground, kind, numbers[-1])
        except Died:
            died = True
        mortal.left = -1
        changes = await life(ground, kind, numbers[-1])
        assert changes.problem is None
        assert (changes.branch, changes.files) == (f"feature/parallel-t{numbers[-1]}", 1)
        assert ground.git("show", f"{changes.branch}:README") == str(numbers[-1])
        assert (ground.files.path / (changes.patch or "")).is_file()
    assert numbers[-1] > 20
    assert ground.branches() == {"main", *(f"feature/parallel-t{each}" for each in numbers)}
    assert ground.git("worktree", "list").count("\n") == 0
    assert not (ground.repo / ".worktrees").exists()
    assert list(ground.files.path.glob("work/*/tree")) == []


@KINDS
async def test_what_was_never_brought_back_is_a_patch_before_it_is_removed(tmp_path: Path, kind: str) -> None:
    ground = Ground(tmp_path)
    workspaces, one = ground.open(kind), task()
    place = await workspaces.obtain(one, first(one))
    (place.directory / "README").write_text("kept\n")
    await workspaces.release(one, first(one))
    assert not place.directory.exists()
    ground.git("apply", str(ground.files.artifacts / "one.1.unbrought.patch"))
    assert (ground.repo / "README").read_text() == "kept\n"


async def test_a_patch_that_cannot_be_written_removes_nothing(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    workspaces, one = ground.open("clone"), task()
    place = await workspaces.obtain(one, first(one))
    (place.directory / "README").write_text("kept\n")
    (ground.files.artifacts / ".one.1.unbrought.patch.new").mkdir()
    with pytest.raises(WorkspaceError, match="cannot save"):
        await workspaces.release(one, first(one))
    assert (place.directory / "README").read_text() == "kept\n"


@KINDS
async def test_locked_directories_and_unreadable_files_are_told(tmp_path: Path, kind: str) -> None:
    ground = Ground(tmp_path)
    workspaces, one = ground.open(kind), task()
    place = await workspaces.obtain(one, first(one))
    locked = place.directory / "locked"
    locked.mkdir()
    (locked / "inner").write_text("x\n")
    locked.chmod(0o500)
    changes = await workspaces.bring_back(one, first(one), as_process)
    assert changes is not None
    assert "locked/inner" in ground.content(changes.branch or "")
    await workspaces.release(one, first(one))
    assert not place.directory.exists()


async def test_git_that_takes_too_long_or_says_too_much_is_ended(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    git = Git(git_dir=ground.repo / ".git", work_tree=ground.repo, settings=("alias.hang=!sleep 600",))
    with pytest.raises(GitError, match="took too long"):
        git.call("hang", timeout_s=0.2)
    with pytest.raises(GitError, match="had more to say than 10 bytes"):
        git.call("log", most_bytes=10)
    with pytest.raises(GitError, match="unknown revision") as refused:
        git.call("log", "nowhere")
    assert refused.value.git_exit_code == 128
    assert refused.value.exit_code == 3


async def test_variables_of_the_caller_reach_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ground = Ground(tmp_path)
    for name, value in {"GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere", "GIT_OBJECT_DIRECTORY": "/x"}.items():
        monkeypatch.setenv(name, value)
    workspaces, one = ground.open("worktree"), task()
    place = await workspaces.obtain(one, first(one))
    assert (place.directory / "README").read_text() == "hello\n"
    with suppress(WorkspaceError):
        await workspaces.release(one, first(one))
    assert not place.directory.exists()


@KINDS
async def test_a_repository_that_went_away_is_told_and_nothing_is_raised(tmp_path: Path, kind: str) -> None:
    ground = Ground(tmp_path)
    workspaces, one = ground.open(kind), task()
    place = await workspaces.obtain(one, first(one))
    ground.repo.rename(tmp_path / "elsewhere")
    changes = await ground.open(kind).bring_back(one, first(one), as_process)
    assert changes is not None
    assert "nothing could be brought back" in (changes.problem or "")
    two = task("two")
    with pytest.raises(WorkspaceError):
        await ground.open(kind).obtain(two, first(two))
    if kind == "clone":
        assert place.directory.is_dir()


async def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    workspaces, one = ground.open("clone"), task()
    await workspaces.obtain(one, first(one))
    (ground.files.path / "work" / "one.1" / "record.json").write_text("{")
    changes = await workspaces.bring_back(one, first(one), as_process)
    assert changes is not None
    assert "record.json is damaged" in (changes.problem or "")
    with pytest.raises(WorkspaceError, match="is damaged"):
        await workspaces.release(one, first(one))


async def test_without_containers_commits_in_a_worktree_are_taken(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    workspaces, one = ground.open("worktree", contained=False), task()
    place = await workspaces.obtain(one, first(one))
    (place.directory / "README").write_text("mine\n")
    for argv in (["checkout", "-q", "--detach"], ["commit", "-qam", "detached"]):
        assert plain_git(*argv, at=place.directory).returncode == 0
    (place.directory / "new").write_text("x\n")
    changes = await workspaces.bring_back(one, first(one), as_process)
    assert changes is not None
    assert (changes.committed_by, changes.problem) == ("both", None)
    assert ground.git("log", "--format=%s", changes.branch or "").splitlines() == ["one", "detached", "first"]


async def test_worktrees_are_not_made_where_a_link_leads(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (ground.repo / ".worktrees").symlink_to(tmp_path / "elsewhere")
    one = task()
    with pytest.raises(WorkspaceError, match="is a link"):
        await ground.open("worktree").obtain(one, first(one))
    assert list((tmp_path / "elsewhere").iterdir()) == []


DEEP = "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a walk that gave up
async def test_what_lies_too_deep_for_git_is_told_and_can_be_removed(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    workspaces, one = ground.open("clone"), task()
    place = await workspaces.obtain(one, first(one))
    await anyio.run_process([sys.executable, "-c", DEEP], cwd=place.directory)
    (place.directory / "README").write_text("changed\n")
    changes = await workspaces.bring_back(one, first(one), as_process)
    assert changes is not None
    assert changes.files == 1
    assert "not brought back, only in" in (changes.problem or "")
    assert len(changes.problem or "") < 1000
    with pytest.raises(WorkspaceError, match="stays"):
        await workspaces.release(one, first(one))
    delete(place.directory)
    assert not place.directory.exists()
