"""The branch and the worktree of a fix: what is merged, what is left, and what a killed one leaves."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from git_ground import Ground

from wavepool.cli.dead_fixes import clear_dead_fixes, dead_fix_lines
from wavepool.core.fixes.course import Course
from wavepool.core.fixes.facts import BranchBegun, MergeIntended
from wavepool.engine.merging import Branch, MergePlan, MergeReport
from wavepool.errors import InputError, WorkspaceError
from wavepool.fixing.branch import FixBranch
from wavepool.fixing.dead import clear_up, dead_fixes
from wavepool.fixing.work import left_out_of
from wavepool.statedir import StateDir
from wavepool.statedir.files import remove_tree
from wavepool.workspace.repository import LOCK_FILE, Repository

FIX = "20261127-090000-beef"
NAME = f"wavepool/fix-{FIX}"


class Yard(Ground):
    """A repository, and the state directory beside it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.state = StateDir(root / "state")
        self.place = self.state.fix(FIX)

    def repository(self) -> Repository:
        return Repository.at(self.repo)

    def left(self, name: str, *, begin: str, **files: str) -> Branch:
        """A branch as a batch leaves it: these files changed beyond the commit `begin`."""
        scratch = self.root / f"scratch-{name}"
        self.git("worktree", "add", "-q", "--detach", str(scratch), begin)
        for path, text in files.items():
            (scratch / path).write_text(text)
        self.git("add", "-A", at=scratch)
        self.git("commit", "-q", "-m", name, at=scratch)
        commit = self.git("rev-parse", "HEAD", at=scratch)
        self.git("worktree", "remove", "--force", str(scratch))
        self.git("branch", name, commit)
        return Branch(task_id=name, name=name, commit=commit, base=begin)

    def plan(self, *branches: Branch) -> MergePlan:
        return MergePlan(run_id="run", workspace=self.repo, branches=branches)

    def worktrees(self) -> int:
        return len(self.git("worktree", "list").splitlines())


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_what_is_merged_is_on_the_branch_in_the_tree_and_on_no_other_branch(yard: Yard) -> None:
    head = yard.head()
    with FixBranch.begun(yard.repository(), yard.place) as branch:
        assert (branch.tree / "README").read_text() == "hello\n"
        one, two = yard.left("one", begin=head, README="better\n"), yard.left("two", begin=head, more="new\n")
        report = branch.take_in(yard.plan(one, two))
        assert report is not None
        assert [each.branch.task_id for each in report.merged] == ["one", "two"]
        assert (branch.tree / "README").read_text() == "better\n"
        assert (branch.tree / "more").read_text() == "new\n"
        assert branch.commit == yard.git("rev-parse", NAME)
        # who works on the tree begins at the branch's commit
        assert Repository.at(branch.tree).head() == branch.commit
    assert yard.branches() == {"main", NAME}
    assert yard.git("show", f"{NAME}:README") == "better"
    assert yard.head() == head
    assert yard.git("status", "--porcelain") == ""
    assert yard.worktrees() == 1
    assert not yard.place.path.exists()


def test_what_conflicts_stays_a_branch_until_it_is_dropped(yard: Yard) -> None:
    head = yard.head()
    with FixBranch.begun(yard.repository(), yard.place) as branch:
        one, two = yard.left("one", begin=head, README="mine\n"), yard.left("two", begin=head, README="yours\n")
        report = branch.take_in(yard.plan(one, two))
        assert report is not None
        assert [each.branch.task_id for each in report.conflicts] == ["two"]
        assert yard.branches() == {"main", NAME, "two"}
        assert branch.left_out == [two]
        branch.drop_left_out()
        assert yard.branches() == {"main", NAME}


def test_a_branch_that_has_moved_on_is_not_deleted(yard: Yard) -> None:
    head = yard.head()
    with FixBranch.begun(yard.repository(), yard.place) as branch:
        one = yard.left("one", begin=head, README="mine\n")
        yard.git("branch", "-f", "one", yard.left("elsewhere", begin=head, other="x\n").commit)
        assert branch.take_in(yard.plan(one)) is not None
        assert "one" in yard.branches()


def test_nothing_merged_leaves_no_branch(yard: Yard) -> None:
    with FixBranch.begun(yard.repository(), yard.place) as branch:
        assert branch.take_in(yard.plan()) is None
    assert yard.branches() == {"main"}
    assert yard.worktrees() == 1


def test_a_check_may_write_into_the_tree_and_nothing_of_that_reaches_git(yard: Yard) -> None:
    yard.write(".gitignore", "cache/\n")
    yard.git("add", "-A")
    yard.git("commit", "-qm", "ignore")
    with FixBranch.begun(yard.repository(), yard.place) as branch:
        (branch.tree / "README").write_text("changed by the check\n")
        (branch.tree / "src" / "app.py").unlink()
        (branch.tree / "report.txt").write_text("left by the check\n")
        (branch.tree / "cache").mkdir()
        (branch.tree / "cache" / "of-the-tool").write_text("for the next check\n")
        branch.restore()
        assert (branch.tree / "README").read_text() == "hello\n"
        assert (branch.tree / "src" / "app.py").exists()
        assert not (branch.tree / "report.txt").exists()
        assert (branch.tree / "cache" / "of-the-tool").exists()
        assert Repository.at(branch.tree).uncommitted() == 0


@pytest.mark.parametrize("kind", ["file", "directory", "link", "gone"])
def test_a_git_that_a_check_has_put_there_leads_nobody_astray(yard: Yard, kind: str) -> None:
    trap = yard.root / "trap"
    with FixBranch.begun(yard.repository(), yard.place) as branch:
        dot_git = branch.tree / ".git"
        told = dot_git.read_text()
        dot_git.unlink()
        if kind == "file":
            dot_git.write_text(f"gitdir: {yard.root}/evil\n")
        elif kind == "directory":
            yard.git("init", "-q", str(branch.tree))
            yard.git("-c", "safe.directory=*", "config", "core.fsmonitor", f"touch {trap}", at=branch.tree)
        elif kind == "link":
            dot_git.symlink_to(yard.root / "evil")
        branch.restore()
        assert dot_git.read_text() == told
        assert not dot_git.is_symlink()
        assert Repository.at(branch.tree).head() == yard.head()
    assert not trap.exists()


def test_a_link_that_a_check_has_made_of_a_directory_is_not_followed(yard: Yard) -> None:
    outside = yard.root / "outside"
    outside.mkdir()
    with FixBranch.begun(yard.repository(), yard.place) as branch:
        (branch.tree / "src" / "app.py").unlink()
        (branch.tree / "src").rmdir()
        (branch.tree / "src").symlink_to(outside)
        branch.restore()
        assert not (branch.tree / "src").is_symlink()
        assert (branch.tree / "src" / "app.py").read_text() == "print(1)\n"
    assert list(outside.iterdir()) == []


def test_the_user_may_check_the_branch_out_while_it_is_worked_on(yard: Yard) -> None:
    head = yard.head()
    with FixBranch.begun(yard.repository(), yard.place) as branch:
        yard.git("switch", "-q", NAME)
        assert branch.take_in(yard.plan(yard.left("one", begin=head, README="better\n"))) is not None
        assert (yard.repo / "README").read_text() == "better\n"


def test_a_taken_name_gets_a_number(yard: Yard) -> None:
    yard.git("branch", NAME)
    with FixBranch.begun(yard.repository(), yard.place) as branch:
        assert branch.name == f"{NAME}-2"
    assert yard.branches() == {"main", NAME}


def test_without_a_commit_nothing_is_made(tmp_path: Path) -> None:
    repo = tmp_path / "empty"
    repo.mkdir()
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    state = StateDir(tmp_path / "state")
    with pytest.raises(InputError, match="no commit yet"), FixBranch.begun(Repository.at(repo), state.fix(FIX)):
        raise AssertionError("it must not begin")
    assert dead_fixes(state) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from wavepool.core.fixes.course import Course
from wavepool.core.fixes.facts import BranchBegun, MergeIntended
from wavepool.engine.merging import Branch, MergePlan, MergeReport
from wavepool.fixing.branch import FixBranch
from wavepool.statedir import StateDir
from wavepool.workspace.repository import Repository

repo, state, fix_id, *merge = sys.argv[1:]
with FixBranch.begun(Repository.at(Path(repo)), StateDir(Path(state)).fix(fix_id)) as branch:
    if merge:
        left = Branch(task_id="one", name="one", commit=merge[0], base=branch.base)
        branch.take_in(MergePlan(run_id="run", workspace=Path(repo), branches=(left,)))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(yard: Yard, *merge: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(yard.repo), str(yard.state.path), FIX, *merge],
        check=False,
        timeout=120,
        env={**os.environ},
    )
    assert done.returncode == -9


def test_of_a_killed_one_the_branch_stays_and_can_be_checked_out(yard: Yard) -> None:
    killed(yard, yard.left("one", begin=yard.head(), README="better\n").commit)
    yard.git("switch", "-q", NAME)
    yard.git("switch", "-q", "main")
    (dead,) = dead_fixes(yard.state)
    assert dead.branch == NAME
    assert NAME in str(dead)
    clear_up(dead)
    assert yard.branches() == {"main", NAME}
    assert yard.worktrees() == 1
    assert dead_fixes(yard.state) == []


def test_of_one_that_was_killed_before_it_had_merged_anything_nothing_stays(yard: Yard) -> None:
    killed(yard)
    assert yard.worktrees() == 2
    (dead,) = dead_fixes(yard.state)
    assert dead.branch is None
    clear_up(dead)
    assert yard.branches() == {"main"}
    assert yard.worktrees() == 1
    assert not yard.place.path.exists()


def test_a_dead_one_whose_repository_is_gone_is_cleared_up_too(yard: Yard) -> None:
    killed(yard)
    yard.repo.rename(yard.root / "moved")
    (dead,) = dead_fixes(yard.state)
    clear_up(dead)
    assert not yard.place.path.exists()


def test_one_that_goes_on_is_neither_dead_nor_cleared_up(yard: Yard) -> None:
    killed(yard)
    (dead,) = dead_fixes(yard.state)
    with dead.place.held():
        assert dead_fixes(yard.state) == []
        clear_up(dead)
        assert yard.place.tree.is_dir()
    assert len(dead_fixes(yard.state)) == 1


@pytest.mark.parametrize("place", ["gen", "src", "src/deep/gen", "module"])
def test_a_repository_that_a_check_has_made_is_not_seen_by_the_next_one(yard: Yard, place: str) -> None:
    yard.git("update-index", "--add", "--cacheinfo", f"160000,{yard.head()},module")
    yard.git("commit", "-qm", "a submodule")
    with FixBranch.begun(yard.repository(), yard.place) as branch:
        yard.git("init", "-q", str(branch.tree / place))
        yard.git("-c", "safe.directory=*", "commit", "-q", "--allow-empty", "-m", "own", at=branch.tree / place)
        (branch.tree / place / "ok").touch()
        branch.restore()
        left = sorted(path.relative_to(branch.tree).as_posix() for path in branch.tree.rglob("*"))
        assert left == [".git", "README", "module", "src", "src/app.py"]


def test_no_link_of_a_check_leads_the_removal_of_repositories_astray(yard: Yard) -> None:
    yard.git("update-index", "--add", "--cacheinfo", f"160000,{yard.head()},lib/module")
    yard.git("commit", "-qm", "a submodule")
    outside = yard.root / "outside"
    (outside / "module").mkdir(parents=True)
    (outside / "module" / "precious").touch()
    (outside / ".git").touch()
    with FixBranch.begun(yard.repository(), yard.place) as branch:
        (branch.tree / "lib" / "module").rmdir()
        (branch.tree / "lib").rmdir()
        (branch.tree / "lib").symlink_to(outside)
        branch.restore()
        assert (outside / "module" / "precious").exists()
        assert (outside / ".git").exists()


def test_what_cannot_be_cleaned_is_an_error(yard: Yard) -> None:
    with immovable(yard.root / "probe"):  # where the file system knows of no such thing
        pass
    with (
        FixBranch.begun(yard.repository(), yard.place) as branch,
        immovable(branch.tree / "left-by-the-check"),
        pytest.raises(WorkspaceError, match="left-by-the-check"),
    ):
        branch.restore()


@contextmanager
def immovable(path: Path) -> Iterator[None]:
    """A file that not even root can remove."""
    path.touch()
    if os.geteuid() != 0 or subprocess.run(["chattr", "+i", str(path)], check=False, capture_output=True).returncode:
        pytest.skip("no file can be made immovable here")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def test_a_worktree_that_resists_is_told_and_replaces_nothing(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavepool.workspace.repository.LOCK_PATIENCE_S", 0.0)
    told: list[str] = []
    lock = yard.repo / ".git" / LOCK_FILE
    with lock.open("w") as held:
        with FixBranch.begun(yard.repository(), yard.place, told=told.append) as branch:
            assert branch.take_in(yard.plan(yard.left("one", begin=yard.head(), README="better\n"))) is not None
            fcntl.flock(held, fcntl.LOCK_EX)
        assert yard.place.tree.is_dir()
    (line,) = told
    assert "other processes held" in line
    assert "`wavepool recover` removes it" in line
    assert yard.git("show", f"{NAME}:README") == "better"
    assert [each.fate for each in clear_dead_fixes(yard.state)] == ["removed"]
    assert yard.branches() == {"main", NAME}
    assert yard.worktrees() == 1


def damage(yard: Yard, kind: str) -> None:
    record = yard.place.path / "record.json"
    whole = json.loads(record.read_text())
    if kind == "directory":
        record.unlink()
        record.mkdir()
        return
    whole.pop("base")
    texts = {"torn": b'{"repo', "list": b"[]", "binary": b"\xff\xfe\0", "keyless": json.dumps(whole).encode()}
    record.write_bytes(texts[kind])


@pytest.mark.parametrize("kind", ["torn", "list", "binary", "keyless", "directory"])
def test_one_that_is_damaged_keeps_nobody_from_clearing_up_the_others(yard: Yard, kind: str) -> None:
    killed(yard)
    damage(yard, kind)
    other = yard.state.fix(f"{FIX}-2")
    with other.held() as held:
        assert held
    (yard.state.path / "fixes" / "stray").write_text("of somebody else")
    assert [bool(each.unreadable) for each in dead_fixes(yard.state)] == [True, False]
    assert [each.fate for each in clear_dead_fixes(yard.state)] == ["unreadable", "removed"]
    (left,) = clear_dead_fixes(yard.state)
    assert left.resisted
    assert str(yard.place.path) in str(left)
    assert f"Remove {yard.place.path}" in str(left) or kind == "directory"
    (line,) = dead_fix_lines(yard.state)
    assert "`wavepool recover`" not in line
    assert yard.place.tree.is_dir()


def test_who_only_looks_makes_nothing_and_keeps_the_lock_from_nobody(yard: Yard) -> None:
    place = yard.state.fix(FIX)
    assert not place.is_dead()
    with place.taken_over() as held:
        assert not held
    assert not place.path.exists()
    place.path.mkdir(parents=True)
    assert not place.is_dead()  # its process has made the directory, and not yet the lock
    assert list(place.path.iterdir()) == []
    with place.held() as held:
        assert held
        assert not place.is_dead()
        place.remove()
        assert not place.is_dead()
    assert not place.path.exists()


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """It happens while somebody waits for a lock."""
    monkeypatch.setattr("wavepool.statedir.files.time.sleep", lambda seconds: happens())


def test_the_owner_waits_for_who_only_looks(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    place = yard.state.fix(FIX)
    with place.held():
        pass
    with (place.path / "lock").open() as looker:
        fcntl.flock(looker, fcntl.LOCK_SH)
        meanwhile(monkeypatch, lambda: fcntl.flock(looker, fcntl.LOCK_UN))
        with place.held() as held:
            assert held


@pytest.mark.parametrize("lets_go", [True, False], ids=["and let go", "and still held"])
def test_the_owner_begins_anew_where_its_place_was_cleared_up_meanwhile(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, lets_go: bool
) -> None:
    place = yard.state.fix(FIX)
    with place.held():
        pass
    with ExitStack() as other:
        assert other.enter_context(place.taken_over())

        def cleared_up() -> None:
            place.remove()
            if lets_go:
                other.close()

        meanwhile(monkeypatch, cleared_up)
        with place.held() as held:
            assert held
            assert (place.path / "lock").exists()


class Dies(BaseException):
    """The process is killed here: nothing of it is cleared up."""


def left_by_a_killed_one(yard: Yard, *branches: Branch, moved: bool) -> Course:
    """What a process has noted that died before, or behind, the moving of its branch; its worktree is still there."""
    course = Course()
    repository = yard.repository()

    def about_to(report: MergeReport) -> None:
        merged, left = len(report.merged), left_out_of(report)
        course.apply(MergeIntended(number=1, before=report.before, after=report.after, merged=merged, left_out=left))
        if not moved:
            raise Dies

    with (
        yard.place.held(),
        pytest.MonkeyPatch.context() as patch,
        suppress(Dies),
    ):
        patch.setattr("wavepool.fixing.branch.end", lambda *what: None)
        patch.setattr("wavepool.fixing.branch.FixBranch._has_taken_in", lambda *what: None)
        with FixBranch.standing(repository, yard.place) as branch:
            course.apply(BranchBegun(repository=str(yard.repo), name=branch.name, base=branch.base))
            branch.take_in(yard.plan(*branches), about_to)
    return course


@pytest.mark.parametrize("moved", [False, True], ids=["before", "behind"])
def test_a_merge_that_was_cut_in_two_is_made_once(yard: Yard, moved: bool) -> None:
    head = yard.head()
    one, two = yard.left("one", begin=head, README="mine\n"), yard.left("two", begin=head, README="yours\n")
    course = left_by_a_killed_one(yard, one, two, moved=moved)
    meant = course.merge
    assert meant is not None
    assert (yard.git("rev-parse", NAME) == meant.after) is moved
    assert yard.place.tree.is_dir()
    with yard.place.held(), FixBranch.standing(yard.repository(), yard.place, course=course) as branch:
        assert branch.as_it_was
        assert branch.finish(yard.plan(one, two), meant) is moved
        if not moved:
            assert branch.take_in(yard.plan(one, two)) is not None
        assert (branch.tree / "README").read_text() == "mine\n"
        assert branch.left_out == [two]
    assert yard.branches() == {"main", NAME, "two"}
    assert yard.git("rev-list", "--count", "--merges", NAME) == "1"
    assert yard.worktrees() == 1


def test_what_a_run_left_after_its_merge_was_cut_in_two_is_merged_too(yard: Yard) -> None:
    head = yard.head()
    one, late = yard.left("one", begin=head, README="mine\n"), yard.left("late", begin=head, other="late\n")
    course = left_by_a_killed_one(yard, one, moved=True)
    meant = course.merge
    assert meant is not None
    told: list[MergeReport] = []
    with yard.place.held(), FixBranch.standing(yard.repository(), yard.place, course=course) as branch:
        assert not branch.finish(yard.plan(one, late), meant)
        assert branch.take_in(yard.plan(one, late), told.append) is not None
        assert (branch.tree / "other").read_text() == "late\n"
    assert yard.branches() == {"main", NAME}
    assert yard.git("show", f"{NAME}:README") == "mine"
    # killed again, just before the branch would have been moved: it stands where that merge began
    (report,) = told
    course.apply(MergeIntended(number=1, before=report.before, after=report.after, merged=2))
    yard.git("branch", "-f", NAME, report.before)
    with yard.place.held(), FixBranch.standing(yard.repository(), yard.place, course=course) as branch:
        assert course.merge is not None
        assert not branch.finish(yard.plan(one, late), course.merge)


def test_a_branch_that_somebody_has_moved_is_left_alone(yard: Yard) -> None:
    head = yard.head()
    course = left_by_a_killed_one(yard, yard.left("one", begin=head, README="mine\n"), moved=False)
    own = yard.left("own", begin=head, README="the user's\n").commit
    yard.git("branch", "-f", NAME, own)
    with (
        yard.place.held(),
        pytest.raises(InputError, match="stands at"),
        FixBranch.standing(yard.repository(), yard.place, course=course),
    ):
        raise AssertionError("it must not go on")
    assert yard.git("rev-parse", NAME) == own
    assert yard.place.tree.is_dir()


@pytest.mark.parametrize("damage", ["gone", "half written"])
def test_a_worktree_that_is_not_whole_is_made_again(yard: Yard, damage: str) -> None:
    course = left_by_a_killed_one(yard, yard.left("one", begin=yard.head(), README="mine\n"), moved=False)
    if damage == "gone":
        remove_tree(yard.place.tree)
    else:
        (admin,) = (yard.repo / ".git" / "worktrees").iterdir()
        (admin / "index.lock").touch()
    with yard.place.held(), FixBranch.standing(yard.repository(), yard.place, course=course) as branch:
        assert not branch.as_it_was
        assert (branch.tree / "README").read_text() == "hello\n"
    assert yard.worktrees() == 1
