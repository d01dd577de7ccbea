"""Worktrees and clones with real git: what an agent changed comes back, whatever it did to its directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from git_ground import Ground, as_process, first, nowhere, plain_git, task

from wavepool.errors import InputError, WorkspaceError
from wavepool.model import AgentOrder
from wavepool.workspace import refuse_roots_own

pytestmark = pytest.mark.anyio

BOTH = pytest.mark.parametrize("kind", ["worktree", "clone"])


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@BOTH
async def test_changed_new_and_deleted_files_come_back_on_a_branch_and_in_a_patch(ground: Ground, kind: str) -> None:
    workspaces, one = ground.open(kind), task(extra={"name": "Fix the Login!"})
    await workspaces.check()
    place = await workspaces.obtain(one, first(one))
    (place.directory / "README").unlink()
    (place.directory / "src/app.py").write_text("print(2)\nprint(3)\n")
    (place.directory / "new file").write_text("x\n")
    (place.directory / "link").symlink_to("/etc/hostname")
    changes = await workspaces.bring_back(one, first(one), as_process)
    assert changes is not None
    assert changes.problem is None
    assert changes.branch == "feature/parallel-fix-the-login-one"
    assert changes.base == ground.head()
    assert changes.committed_by == "host"
    assert ground.content(changes.commit or "") == {"src/app.py", "new file", "link"}
    assert (changes.files, changes.insertions, changes.deletions) == (4, 4, 2)
    assert ground.git("log", "-1", "--format=%an <%ae> %s", changes.branch) == "Ada <ada@example.org> Fix the Login!"
    assert await workspaces.bring_back(one, first(one), as_process) == changes

    await workspaces.release(one, first(one))
    await workspaces.release(one, first(one))
    assert not place.directory.exists()
    assert ground.git("worktree", "list").count("\n") == 0
    assert ground.git("rev-parse", changes.branch) == changes.commit
    ground.git("apply", "--check", str(ground.files.path / (changes.patch or "")))
    assert ground.git("status", "--porcelain") == ""


@BOTH
async def test_where_nothing_was_changed_nothing_is_left(ground: Ground, kind: str) -> None:
    workspaces, one = ground.open(kind), task()
    place = await workspaces.obtain(one, first(one))
    assert await ground.open(kind).obtain(one, first(one)) == place
    changes = await workspaces.bring_back(one, first(one), as_process)
    assert changes is not None
    assert (changes.branch, changes.patch, changes.problem) == (None, None, None)
    await workspaces.release(one, first(one))
    assert ground.branches() == {"main"}
    assert not (ground.repo / ".worktrees").exists()


async def test_what_the_agent_committed_stays_its_own_and_the_rest_is_committed_by_us(ground: Ground) -> None:
    workspaces, one = ground.open("clone"), task()
    place = await workspaces.obtain(one, first(one))
    (place.directory / "a").write_text("a\n")
    for argv in (["add", "a"], ["commit", "-qm", "mine"]):
        assert plain_git(*argv, at=place.directory).returncode == 0
    (place.directory / "b").write_text("b\n")
    changes = await workspaces.bring_back(one, first(one), as_process)
    assert changes is not None
    assert (changes.committed_by, changes.problem) == ("both", None)
    log = ground.git("log", "--format=%an %s", changes.branch or "").splitlines()
    assert log == ["Ada one", "Agent mine", "Ada first"]
    await workspaces.release(one, first(one))
    assert ground.content(changes.commit or "") == {"README", "src/app.py", "a", "b"}


async def test_an_image_without_git_brings_its_files_back(ground: Ground) -> None:
    workspaces, one = ground.open("clone"), task()
    place = await workspaces.obtain(one, first(one))
    (place.directory / "a").write_text("a\n")
    changes = await workspaces.bring_back(one, first(one), nowhere)
    assert changes is not None
    assert changes.committed_by == "host"
    assert changes.problem is None
    assert ground.content(changes.commit or "") == {"README", "src/app.py", "a"}


@BOTH
async def test_a_branch_that_is_there_already_keeps_its_name_and_that_is_said(ground: Ground, kind: str) -> None:
    ground.git("branch", "feature/parallel-one")
    workspaces, one = ground.open(kind), task("one")
    place = await workspaces.obtain(one, first(one))
    (place.directory / "a").write_text("a\n")
    changes = await workspaces.bring_back(one, first(one), nowhere)
    assert changes is not None
    assert changes.branch == "feature/parallel-one-2"
    told = "task 'one': the branch feature/parallel-one is there already, its work goes to feature/parallel-one-2"
    assert ground.told == [told]


@BOTH
async def test_what_is_no_repository_is_refused(tmp_path: Path, kind: str) -> None:
    ground = Ground(tmp_path)
    ground.repo = tmp_path / "plain"
    ground.repo.mkdir()
    with pytest.raises(InputError, match="is in no git repository"):
        await ground.open(kind).check()
    ground.git("init", "-q")
    with pytest.raises(InputError, match="no commit yet"):
        await ground.open(kind).check()


@BOTH
async def test_tasks_begin_at_the_commit_and_that_is_said(ground: Ground, kind: str) -> None:
    ground.write("README", "not committed\n")
    workspaces, one = ground.open(kind), task()
    await workspaces.check()
    assert ground.told == [
        f"{ground.repo} has 1 uncommitted change: tasks begin at the commit {ground.head()[:12]}, without it"
    ]
    place = await workspaces.obtain(one, first(one))
    assert (place.directory / "README").read_text() == "hello\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root owns what belongs to root")
async def test_an_agent_never_works_as_root_in_a_shared_directory(ground: Ground) -> None:
    one = task(agent=AgentOrder(name="command"))
    with pytest.raises(WorkspaceError, match="belongs to root, and agents never work as root"):
        await ground.open("shared", contained=True).obtain(one, first(one))
    place = await ground.open("shared", contained=True).obtain(task(), first(one))
    assert (place.directory, [mount.target for mount in place.mounts]) == (ground.repo, ["/workspace/.git"])
    place = await ground.open("clone", contained=True).obtain(one, first(one))
    assert (place.user, place.directory.stat().st_uid) == ("10001:10001", 10001)
    assert (place.directory / ".git" / "HEAD").stat().st_uid == 10001


@pytest.mark.skipif(os.geteuid() != 0, reason="only root owns what belongs to root")
def test_agents_that_would_work_as_root_are_refused_before_anything_starts(ground: Ground, tmp_path: Path) -> None:
    """And never sent to a clone where there is no repository, which would send them back."""
    agents = [task(agent=AgentOrder(name="command")), task()]
    with pytest.raises(InputError, match="belongs to root") as caught:
        refuse_roots_own(agents, ground.repo)
    assert str(caught.value.advice).startswith("Give each agent a private clone with `--workspace-kind clone`. Or give")
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(InputError, match="belongs to root") as caught:
        refuse_roots_own(agents, plain)
    assert str(caught.value.advice).startswith("Run `git init` and commit in it, then give each agent a private clone")
    refuse_roots_own([task()], plain)
    os.chown(plain, 1234, 1234)
    refuse_roots_own(agents, plain)


async def test_a_repository_that_borrows_and_one_that_is_shallow_can_be_cloned(ground: Ground) -> None:
    ground.git("commit", "-q", "--allow-empty", "-m", "second")
    origin = ground.repo
    for name, how in (("borrower", ["--shared"]), ("shallow", ["--depth", "1", "--no-local"])):
        plain_git("clone", "-q", *how, str(origin), name, at=ground.root)
        ground.repo = ground.root / name
        workspaces, one = ground.open("clone"), task(name)
        place = await workspaces.obtain(one, first(one))
        (place.directory / "README").write_text("mine\n")
        assert plain_git("commit", "-qam", "mine", at=place.directory).returncode == 0
        changes = await workspaces.bring_back(one, first(one), as_process)
        assert changes is not None
        assert (changes.problem, changes.committed_by) == (None, "agent")
        assert ground.git("show", f"{changes.branch}:README") == "mine"


@BOTH
async def test_ids_of_any_kind_make_safe_paths_and_branches(ground: Ground, kind: str) -> None:
    workspaces = ground.open(kind)
    for task_id in ("../../etc", "-rf", "a b\n\x00", "x.lock", "ä" * 100, "a..b"):
        one = task(task_id, key=f"k{abs(hash(task_id)) % 1000}", extra={"name": "--into \x1b[31m ../x"})
        place = await workspaces.obtain(one, first(one))
        assert place.directory.resolve().is_relative_to(ground.root)
        (place.directory / "README").write_text(task_id.encode().hex())
        changes = await workspaces.bring_back(one, first(one), as_process)
        assert changes is not None
        assert changes.problem is None
        assert (changes.branch or "").startswith(f"feature/parallel-into-31m-x-{one.key}")
        await workspaces.release(one, first(one))


async def test_the_notices_say_what_copies_lack(ground: Ground) -> None:
    ground.write(".gitattributes", "*.bin filter=lfs\n")
    ground.git("add", "-A")
    ground.git("update-index", "--add", "--cacheinfo", f"160000,{ground.head()},vendored")
    ground.git("commit", "-q", "-m", "more")
    (ground.repo / "vendored").mkdir()
    await ground.open("worktree").check()
    assert ground.told == [
        "submodules are empty directories in there: vendored",
        "filters of .gitattributes are not run: files of git-lfs stay pointers in there",
    ]
    one = task()
    place = await ground.open("worktree").obtain(one, first(one))
    (place.directory / "vendored" / "inside").write_text("x")
    changes = await ground.open("worktree").bring_back(one, first(one), as_process)
    assert changes is not None
    assert "vendored/ (a submodule)" in (changes.problem or "")
    with pytest.raises(WorkspaceError, match="stays"):
        await ground.open("worktree").release(one, first(one))
    assert (place.directory / "vendored" / "inside").exists()
