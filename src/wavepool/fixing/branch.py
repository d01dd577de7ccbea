"""The branch that a fix works on, and the worktree of it that is checked; the user's checkout is never touched.

::

    with FixBranch.begun(repository, state_dir.fix(fix_id)) as branch:
        ...                          # a check in branch.tree, a run whose agents get clones of it
        branch.take_in(plan)         # merges what they left, and brings the tree to it

The worktree's HEAD is the branch's commit, and not the branch: so nothing stands in the way of whoever wants to check
that one out, not even where this process was killed. All of it blocks.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wavepool.core.fixes.course import Course
from wavepool.core.fixes.facts import BranchBegun, MergeIntended
from wavepool.engine.merging import Branch, MergePlan, MergeReport, merge
from wavepool.errors import InfrastructureError, InputError, WavepoolError, WorkspaceError
from wavepool.fixing.brings import Brings, brings
from wavepool.fixing.checks import Tell
from wavepool.fixing.nested import drop_nested
from wavepool.fixing.tracked import unlike
from wavepool.statedir import FixPlace
from wavepool.workspace.adding import admin_of, new_branch, take_away
from wavepool.workspace.git import LONG_S, Git
from wavepool.workspace.removal import delete, give_to
from wavepool.workspace.repository import Repository
from wavepool.workspace.standing import agent_owner


def branch_name(fix_id: str) -> str:
    """Where the work of a fix goes."""
    return f"wavepool/fix-{fix_id}"


class FixBranch:
    """One branch with its worktree, while the fix goes on.

    Args:
        contained: the checks run in containers, and so as the user that agents are, who then owns the worktree.

    Attributes:
        name: of the branch.
        base: the commit that it began at, and `commit` the one that it stands at, both in hex.
        tree: the worktree.
        left_out: branches of batches that are not in it.
        as_it_was: the worktree is the one that a process before had, and nothing has been done to it since.
    """

    def __init__(self, repository: Repository, place: FixPlace, *, contained: bool) -> None:
        self.base = self.commit = repository.head()
        self.name = branch_name(place.id)
        self.tree = place.tree
        self.left_out: list[Branch] = []
        self._repository = repository
        self._place = place
        self.as_it_was = False
        self._runs: list[str] = []
        self._owner = agent_owner(repository) if contained else None
        self._admin = Path()
        self._dot_git = b""

    @classmethod
    @contextmanager
    def begun(
        cls, repository: Repository, place: FixPlace, *, contained: bool = True, told: Tell = lambda text: None
    ) -> Iterator[FixBranch]:
        """Hold the place and make both, as `standing` does.

        Raises:
            InputError: the repository has no commit.
            WorkspaceError, InfrastructureError: they cannot be made.
        """
        repository.head()  # without one nothing is made
        with in_place(place), cls.standing(repository, place, contained=contained, told=told) as branch:
            yield branch

    @classmethod
    @contextmanager
    def standing(
        cls,
        repository: Repository,
        place: FixPlace,
        *,
        course: Course | None = None,
        contained: bool = True,
        told: Tell = lambda text: None,
    ) -> Iterator[FixBranch]:
        """Have both; when the block ends, the worktree goes, and the branch where it has nothing new.

        Only for whoever holds the place: then nobody goes on with the same fix.

        Args:
            course: of a fix that is gone on with: its branch is where it was left, and its worktree is made anew where
                it is not whole any more.
            told: gets a sentence where something of it resists, which `dead_fixes` finds from then on.

        Raises:
            InputError: the repository has no commit, or somebody has moved the branch.
            WorkspaceError, InfrastructureError: they cannot be made.
        """
        branch = cls(repository, place, contained=contained)
        begun = None if course is None else course.branch or _recorded(place, repository)
        if course is not None and begun is not None:
            branch._take_up(begun, course)  # where that fails all of it is left as it is
        try:
            if begun is None:
                branch._make()
            yield branch
        finally:
            try:
                end(repository, place, branch.name, branch.base)
            except WavepoolError as error:  # what has come of it stands all the same
                why = " ".join(error.message.split())
                told(f"the worktree of this fix is still there: {why}; `wavepool recover` removes it")

    def intends(self, run_id: str) -> None:
        """Write down that this run works on it: as long as it can be resumed, the worktree is left to it."""
        if run_id not in self._runs:
            self._runs.append(run_id)
            self._write()

    def restore(self) -> None:
        """Bring the worktree back to the branch: what a check has changed or left goes, but for ignored files.

        Repositories that it has made are no exception: what the branch does not have, no later check may see.

        Raises:
            WorkspaceError: something cannot be written, or resists.
        """
        self.as_it_was = False
        git = self._git()
        git.call("update-ref", "--no-deref", "HEAD", self.commit)
        self._repository.check_out(git, self.commit)
        drop_nested(git, self.tree, self.commit)
        git.call("clean", "-f", "-f", "-d", "-q", timeout_s=LONG_S)
        give_to(self.tree, self._owner, spare=".git")

    def changed(self) -> tuple[str, ...]:
        """Files of the branch that are not in the worktree as they are on it. Raises WorkspaceError."""
        return tuple(unlike(self._git(), self.commit))

    def tip(self) -> str:
        """The commit that it stands at, also where a merge was interrupted."""
        return self._repository.tip(self.name) or self.commit

    def content(self, commit: str | None = None) -> str:
        """The tree of a commit, its own unless told, in hex: two that have the same differ in nothing that a check
        sees."""
        return self._repository.git.line("rev-parse", "--verify", f"{commit or self.commit}^{{tree}}")

    def brings(self) -> Brings | None:
        """What it would bring to the user's checkout; None for nothing, and where git cannot tell."""
        tip = self.tip()
        with suppress(WavepoolError):
            return None if tip == self.base else brings(self._repository, self.base, tip)
        return None

    def take_in(
        self, plan: MergePlan, about_to: Callable[[MergeReport], None] = lambda report: None
    ) -> MergeReport | None:
        """Merge the branches of a run, delete those that are in, and bring the worktree up to it; None for nothing.

        What conflicts, or did not succeed, is a branch that is left out.

        Args:
            about_to: told all of it when nothing is left to be done but to move the branch.

        Raises:
            WorkspaceError: git cannot write to the repository.
            InputError: the branch is checked out meanwhile, in a checkout that is not clean.
        """
        self.left_out += plan.unsuccessful
        if not plan.branches:
            return None
        report = merge(self._repository, plan, into=self.name, about_to=about_to)
        self._has_taken_in(plan, report.after, {each.branch.name for each in report.conflicts})
        return report

    def finish(self, plan: MergePlan, meant: MergeIntended) -> bool:
        """Do what was left to be done of a merge that another process meant to make; False where it was not made, or
        the run has been gone on with since, and left more.

        The branch is moved in one step: it is where it was before, or has all of it. Raises WorkspaceError.
        """
        left_out = {each.branch for each in meant.left_out}
        merged = [each.commit for each in plan.branches if each.name not in left_out]
        if self._repository.tip(self.name) != meant.after or len(merged) != meant.merged or not self._has(merged):
            return False
        self.left_out += plan.unsuccessful
        self._has_taken_in(plan, meant.after, left_out)
        return True

    def _has(self, commits: Iterable[str]) -> bool:
        """Whether all of them are in the branch."""
        git, within = self._repository.git, ("merge-base", "--is-ancestor")
        return all(git.succeeds(*within, each, self.tip()) for each in commits)

    def _has_taken_in(self, plan: MergePlan, commit: str, left_out: Collection[str]) -> None:
        self.commit = commit
        self.drop(each for each in plan.branches if each.name not in left_out)
        self.left_out += [each for each in plan.branches if each.name in left_out]
        self.restore()

    def drop(self, branches: Iterable[Branch]) -> None:
        """Delete branches that are still where a batch left them."""
        for each in branches:
            self._repository.drop_branch(each.name, each.commit)

    def drop_left_out(self) -> None:
        """Delete those that are left out: nobody needs them any more. Their patches stay with their runs."""
        self.drop(self.left_out)
        self.left_out = []

    def _make(self) -> None:
        repository = self._repository
        with repository.turn():
            self.name = new_branch(repository, self.name, self.base, self._intend)
            delete(self.tree)
            self._add()
        self.restore()

    def _take_up(self, begun: BranchBegun, course: Course) -> None:
        """What a killed process had; what a fix that has ended had before that."""
        repository = self._repository
        self.name, self.base, self.commit = begun.name, begun.base, course.commit or begun.base
        self._runs = list(course.runs)
        with repository.turn():
            self._write()
            self._see_the_branch(course.merge)
            self._admin = admin_of(repository, self.tree) or Path()
            self.as_it_was = self._is_whole()
            if self.as_it_was:
                self._dot_git = _leading_to(self._admin)
                return
            take_away(repository, self.tree)
            self._add()
        self.restore()

    def _see_the_branch(self, meant: MergeIntended | None) -> None:
        """Where it was left, or where the merge that was under way has found or brought it."""
        tip = self._repository.tip(self.name)
        if tip is None and not self._repository.make_branch(self.name, self.commit):
            raise WorkspaceError(f"the branch {self.name} cannot be made at {self.commit}")
        if tip not in (None, self.commit) and (meant is None or tip not in (meant.before, meant.after)):
            raise InputError(
                f"{self.name} stands at {str(tip)[:12]}, and this fix had left it at {self.commit[:12]}",
                advice=f"`git branch -f {self.name} {self.commit}` puts it back, without what somebody has added. Or "
                "begin another fix from there: check the branch out, and give the same command again.",
            )

    def _is_whole(self) -> bool:
        """Whether git has the worktree, and no git was killed while it wrote there."""
        admin = self._admin
        if admin == Path() or not (admin / "index").is_file() or any(admin.glob("*.lock")):
            return False
        with suppress(WorkspaceError):
            head = self._repository.of_worktree(admin, self.tree).line("rev-parse", "--verify", "HEAD")
            return self.tree.is_dir() and head == self.commit
        return False

    def _add(self) -> None:
        """Have git make the worktree; whoever calls has the repository's turn."""
        repository, tree = self._repository, os.fspath(self.tree)
        repository.git.call("worktree", "add", "--quiet", "--detach", "--no-checkout", tree, self.commit)
        admin = admin_of(repository, self.tree)
        if admin is None:
            raise WorkspaceError(f"git has made no worktree in {self.tree}")
        repository.give_back("worktrees", "logs")
        self._admin = admin
        self._dot_git = (self.tree / ".git").read_bytes()

    def _intend(self, name: str) -> None:
        self.name = name
        self._write()

    def _write(self) -> None:
        top = os.fspath(self._repository.top)
        self._place.write({"repository": top, "branch": self.name, "base": self.base, "runs": self._runs})

    def _git(self) -> Git:
        """Git on the worktree. Its `.git` leads to the repository again, whatever a check has made of it."""
        path = self.tree / ".git"
        status = os.lstat(path) if os.path.lexists(path) else None
        if status is None or not stat.S_ISREG(status.st_mode) or path.read_bytes() != self._dot_git:
            if status is not None and stat.S_ISDIR(status.st_mode):
                delete(path)
            else:
                path.unlink(missing_ok=True)
            path.write_bytes(self._dot_git)
        return self._repository.of_worktree(self._admin, self.tree)


def _leading_to(admin: Path) -> bytes:
    """What git writes into the `.git` of a worktree: the one that is there may be a check's."""
    return b"gitdir: " + os.fsencode(admin) + b"\n"


def _recorded(place: FixPlace, repository: Repository) -> BranchBegun | None:
    """What a process has written down that was killed before it noted its branch; None where it made none."""
    told = place.read() or {}
    name, base = told.get("branch"), told.get("base")
    if not (isinstance(name, str) and isinstance(base, str)):
        return None
    return BranchBegun(repository=os.fspath(repository.top), name=name, base=base)


@contextmanager
def in_place(place: FixPlace) -> Iterator[None]:
    """Hold the place of a fix. Raises InfrastructureError: another process does."""
    with place.held() as held:
        if not held:
            pid = place.holder().split(" ")[0]
            by = f"process {pid}" if pid else "another process"
            raise InfrastructureError(f"fix {place.id} is held by {by}", advice="Wait for its end, or end that one.")
        yield


def end(repository: Repository, place: FixPlace, name: str, base: str) -> None:
    """Remove the worktree of a fix and its place, and its branch where nothing new is on it; whoever holds it calls.

    Raises:
        WavepoolError: something resists.
    """
    with repository.turn():
        if repository.tip(name) == base:
            repository.drop_branch(name, base)
        take_away(repository, place.tree)
    place.remove()
