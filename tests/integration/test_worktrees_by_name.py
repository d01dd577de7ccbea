"""The seed's worktree manager, with real git; and many additions at once, of threads and of processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from git_ground import Ground, as_process, first, nowhere, task

from wavepool import WorktreeManager
from wavepool.errors import InputError, WorkspaceError
from wavepool.model import Changes

DEADLINE_S = 300

MANY = 50


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def test_a_worktree_from_its_making_to_its_end(ground: Ground) -> None:
    worktrees = WorktreeManager(ground.repo)
    info = worktrees.create_worktree("task-1", "Fix it")
    assert info.worktree_path == ground.repo / ".worktrees" / "task-task-1"
    assert (info.branch_name, info.status, info.pid) == ("feature/parallel-fix-it-task-1", "created", None)
    with pytest.raises(InputError, match="has the worktree"):
        worktrees.create_worktree("task-1")
    assert ground.git("status", "--porcelain") == ""
    assert not (ground.repo / ".gitignore").exists()

    other = WorktreeManager(ground.repo / "src")  # another process would see the same
    assert other.get_worktree("task-1") == info
    assert other.update_worktree_status("task-1", "active", pid=4711).pid == 4711
    assert [(each.status, each.pid) for each in worktrees.list_worktrees()] == [("active", 4711)]
    with pytest.raises(InputError, match="is no status"):
        other.update_worktree_status("task-1", "odd")
    assert worktrees.collect_worktree_results("task-1", ground.root / "results") is None

    (info.worktree_path / "new").write_text("new\n")
    patch = worktrees.collect_worktree_results("task-1", ground.root / "results")
    assert patch == ground.root / "results" / "task-1.patch"
    ground.git("apply", "--check", str(patch))
    assert ground.content(info.branch_name) == {"README", "src/app.py", "new"}

    (info.worktree_path / "late").write_text("late\n")
    assert worktrees.validate_worktree("task-1")
    assert worktrees.cleanup_worktree("task-1")
    assert not worktrees.cleanup_worktree("task-1")
    assert not worktrees.validate_worktree("task-1")
    assert "late" in ground.content(info.branch_name)
    assert ground.git("worktree", "list").count("\n") == 0


def test_all_of_ours_are_removed_and_no_others(ground: Ground) -> None:
    worktrees = WorktreeManager(ground.repo)
    for name in ("a", "b", "../c"):
        worktrees.create_worktree(name)
    ground.git("worktree", "add", "-q", "-b", "mine", str(ground.repo / ".worktrees" / "mine"))
    (ground.repo / ".worktrees" / "task-a" / "lost").write_text("x")
    assert worktrees.cleanup_all_worktrees(force=True) == 3
    assert worktrees.list_worktrees() == []
    assert ground.branches() == {"main", "mine"}
    assert (ground.repo / ".worktrees" / "mine" / "README").exists()


def test_names_that_are_taken_are_not_taken_again(ground: Ground) -> None:
    ground.git("branch", "feature/parallel-a")
    (ground.repo / ".worktrees" / "task-a").mkdir(parents=True)
    info = WorktreeManager(ground.repo).create_worktree("a")
    assert (info.worktree_path.name, info.branch_name) == ("task-a-2", "feature/parallel-a-2")
    ground.git("branch", "-D", "feature/parallel-a")
    WorktreeManager(ground.repo).cleanup_all_worktrees()
    ground.git("branch", "feature")
    assert WorktreeManager(ground.repo).create_worktree("b").branch_name == "feature-parallel-b"


def test_a_worktree_that_was_half_made_by_who_died_is_made_anew(ground: Ground) -> None:
    worktrees = WorktreeManager(ground.repo)
    info = worktrees.create_worktree("a")
    known = ground.repo / ".git" / "wavepool-worktrees.json"
    known.write_text(known.read_text().replace('"created"', '"creating"'))
    (info.worktree_path / "README").unlink()
    assert worktrees.get_worktree("a") is None
    again = worktrees.create_worktree("a")
    assert (again.worktree_path, again.branch_name) == (info.worktree_path, info.branch_name)
    assert (again.worktree_path / "README").exists()


def test_what_git_cannot_hold_is_not_removed(ground: Ground) -> None:
    worktrees = WorktreeManager(ground.repo)
    place = worktrees.create_worktree("a").worktree_path
    (place / "git~1").write_text("x")
    with pytest.raises(WorkspaceError, match="has what git does not take"):
        worktrees.cleanup_worktree("a")
    assert (place / "git~1").exists()


MAKER = """
import sys
from wavepool import WorktreeManager
worktrees = WorktreeManager(sys.argv[1])
for number in range(int(sys.argv[3])):
    worktrees.create_worktree(f"{sys.argv[2]}-{number}", "same name")
"""


def test_two_processes_add_at_once(ground: Ground) -> None:
    makers = [
        subprocess.Popen([sys.executable, "-c", MAKER, str(ground.repo), name, "12"], stderr=subprocess.PIPE)
        for name in ("left", "right")
    ]
    errors = [maker.communicate(timeout=DEADLINE_S)[1].decode() for maker in makers]
    assert [(maker.returncode, error) for maker, error in zip(makers, errors, strict=True)] == [(0, ""), (0, "")]
    worktrees = WorktreeManager(ground.repo)
    made = worktrees.list_worktrees()
    assert len({each.worktree_path for each in made}) == len({each.branch_name for each in made}) == 24
    assert all(worktrees.validate_worktree(each.task_id) for each in made)
    assert ground.git("worktree", "list").count("\n") == 24


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["worktree", "clone"])
async def test_fifty_at_once_from_beginning_to_end(ground: Ground, kind: str) -> None:
    workspaces = ground.open(kind)
    found: dict[str, Changes | None] = {}

    async def work(number: int) -> None:
        one = task(f"t{number}", extra={"name": "same"})
        place = await workspaces.obtain(one, first(one))
        (place.directory / "README").write_text(f"{number}\n")
        found[one.id] = await workspaces.bring_back(one, first(one), as_process if number % 10 == 0 else nowhere)
        await workspaces.release(one, first(one))

    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as group:
            for number in range(MANY):
                group.start_soon(work, number)
    assert len(found) == MANY
    for number in range(MANY):
        changes = found[f"t{number}"]
        assert changes is not None
        assert ground.git("show", f"{changes.commit}:README") == str(number)
        assert ground.git("rev-parse", changes.branch or "") == changes.commit
    assert len(ground.branches()) == MANY + 1
    assert ground.git("fsck", "--connectivity-only", "--no-dangling") == ""
    assert ground.git("worktree", "list").count("\n") == 0
    left = [name for _, _, names in os.walk(ground.files.path / "work") for name in names]
    assert set(left) <= {"record.json", "git"}
    assert all(json.loads(path.read_text())["released"] for path in ground.files.path.glob("work/*/record.json"))
