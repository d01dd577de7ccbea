"""The branches of a run's tasks, put together one by one. No checkout is written to but a clean one that is asked for.

::

    plan = MergePlan.of(history.facts())
    report = merge(Repository.at(plan.workspace), plan, into=None, dry_run=False)

Git merges in its object store alone (``merge-tree``), without a work tree and so without attributes: no merge driver
that an agent's ``.gitattributes`` names is ever run. All of it blocks.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wavepool.core.facts import (
    AttemptSettled,
    Outcome,
    RunFinished,
    RunOpened,
    RunReopened,
    RunResumed,
    Stamped,
    TasksAdded,
)
from wavepool.errors import InputError, InvariantBroken
from wavepool.model import Changes, VerdictKind, WorkspaceKind
from wavepool.workspace.git import LONG_S, Git, GitError
from wavepool.workspace.repository import Repository

GIT_WANTED = (2, 38)
"""The first git whose merge-tree writes trees."""

NAMED = 5
"""Tasks that an error names at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What one task left. `commit` decides: the branch may be gone, or moved on."""

    task_id: str
    name: str
    commit: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePlan:
    """What a run has to merge, in the order of its plan.

    Attributes:
        workspace: the user's directory.
        branches: of the tasks that succeeded and changed something, the newest attempt of each.
        unsuccessful: branches of tasks that have not succeeded: nobody merges these unasked.
        unfinished: a resume would go on with the run.
        shared: its tasks worked in the workspace itself, and leave no branches.
    """

    run_id: str
    workspace: Path
    branches: tuple[Branch, ...]
    unsuccessful: tuple[Branch, ...] = ()
    unfinished: bool = False
    shared: bool = False

    @classmethod
    def of(cls, facts: Iterable[Stamped]) -> MergePlan:
        """Out of a run's journal. Raises InvariantBroken for one without a beginning."""
        run: RunOpened | None = None
        order: dict[str, None] = {}
        found: dict[str, Changes] = {}
        failed: dict[str, Changes] = {}
        outcome: Outcome | None = None
        for stamped in facts:
            match stamped.fact:
                case RunOpened() as opened:
                    run = opened
                case RunFinished() as finished:
                    outcome = finished.outcome
                case RunResumed() | RunReopened():
                    outcome = None
                case TasksAdded(tasks=tasks):
                    order.update(dict.fromkeys(task.id for task in tasks))
                case AttemptSettled(verdict=verdict, attempt=attempt, changes=Changes() as changes):
                    if changes.branch and changes.commit:
                        (found if verdict.kind is VerdictKind.SUCCESS else failed)[attempt.task_id] = changes
        if run is None:
            raise InvariantBroken("a journal without the opening of its run")
        return cls(
            run_id=run.run_id,
            workspace=Path(run.surroundings.workspace),
            branches=tuple(_branch(each, found[each]) for each in order if each in found),
            unsuccessful=tuple(_branch(each, failed[each]) for each in order if each in failed and each not in found),
            unfinished=outcome in (None, Outcome.INTERRUPTED, Outcome.INFRASTRUCTURE),
            shared=run.surroundings.workspace_kind is WorkspaceKind.SHARED,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """One branch that is in it now. `already`: it was before."""

    branch: Branch
    already: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One branch that is not in it: the files that conflict, or what else git said."""

    branch: Branch
    files: tuple[str, ...] = ()
    problem: str = ""


@dataclass(slots=True, kw_only=True)
class MergeReport:
    """What came of it.

    Attributes:
        target: the branch that has (or, of a rehearsal, would have) what was merged.
        before: its commit at the beginning; the base of the run's branches where it is new.
        after: its commit at the end. Of a rehearsal nobody has that commit.
        checkout: the checkout that was brought up to it; None for none.
    """

    run_id: str
    target: str
    before: str
    after: str
    dry_run: bool
    checkout: Path | None = None
    merged: list[Merged] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)

    def result(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "run_id": self.run_id,
            "branch": self.target,
            "before": self.before,
            "commit": None if self.dry_run else self.after,
            "dry_run": self.dry_run,
            "checkout": None if self.checkout is None else str(self.checkout),
            "merged": [{**_told(each.branch), "already": each.already} for each in self.merged],
            "conflicts": [
                {**_told(each.branch), "files": list(each.files), "problem": each.problem or None}
                for each in self.conflicts
            ],
        }


def merged_branch(run_id: str) -> str:
    """Where what is merged goes unless told otherwise."""
    return f"wavepool/{run_id}"


def merge(
    repository: Repository,
    plan: MergePlan,
    *,
    into: str | None = None,
    dry_run: bool = False,
    about_to: Callable[[MergeReport], None] = lambda report: None,
) -> MergeReport:
    """Merge the branches, each on top of those before; one that conflicts is left out, and the next one tried.

    Args:
        into: an existing branch; None for `merged_branch`, which is made where it is missing.
        dry_run: change nothing; all objects that are made are thrown away.
        about_to: told all of it when nothing is left to be done but to move the branch, in one step; not of a
            rehearsal.

    Raises:
        InputError: nothing to merge, no such branch, a checkout of it that is not clean, or git is too old.
        GitError: git cannot write to the repository.
    """
    if not plan.branches:
        raise _nothing_to_merge(plan)
    check_git(repository.git)
    if dry_run:
        return _merge(repository, plan, into, dry_run=True)
    with repository.turn():
        return _merge(repository, plan, into, dry_run=False, about_to=about_to)


def _nothing_to_merge(plan: MergePlan) -> InputError:
    left = plan.unsuccessful
    what = f"no task of run {plan.run_id} has left a branch"
    if left:
        named = ", ".join(each.task_id for each in left[:NAMED]) + (", …" if len(left) > NAMED else "")
        what = f"no task of run {plan.run_id} that left a branch has succeeded: {named} did not"
    by_hand = f"to take one as it is: `git merge {left[0].name}`" if left else ""
    if plan.unfinished:
        advice = f"It is not finished: `wavepool resume {plan.run_id}` goes on with it"
    elif left:
        advice = f"`wavepool retry {plan.run_id} --failed` tries again what failed"
    elif plan.shared:
        advice = "With `--workspace-kind worktree` or clone, tasks that succeed and change something do"
    else:
        advice = f"Tasks that change nothing leave none: `wavepool show {plan.run_id}` tells what each said"
    return InputError(what, advice=f"{advice}; {by_hand}." if by_hand else f"{advice}.")


def _merge(
    repository: Repository,
    plan: MergePlan,
    into: str | None,
    *,
    dry_run: bool,
    about_to: Callable[[MergeReport], None] = lambda report: None,
) -> MergeReport:
    target = into or merged_branch(plan.run_id)
    tip = repository.tip(target)
    if into is not None and (
        into.startswith("-") or not repository.git.succeeds("check-ref-format", f"refs/heads/{into}")
    ):
        raise InputError(
            f"no branch can be called {into!r}", advice="`git branch` lists those that there are. Or leave --into out."
        )
    if tip is None and into is not None:
        raise InputError(f"there is no branch {into}", advice=f"Make it: `git branch {into}`, or leave --into out.")
    checkout = _checkout_of(repository, target)
    before = tip or plan.branches[0].base
    report = MergeReport(run_id=plan.run_id, target=target, before=before, after=before, dry_run=dry_run)
    with _apart(repository, keep_objects=not dry_run) as git:
        for branch in plan.branches:
            _merge_one(git, repository.identity, report, branch)
    repository.give_back("objects")
    if not dry_run:
        about_to(report)
    if not dry_run and (tip is None or report.after != tip):
        report.checkout = _move(repository, target, tip, report.after, checkout)
    return report


def _merge_one(git: Git, identity: Mapping[str, str], report: MergeReport, branch: Branch) -> None:
    """Add one branch to `report.after`, or say why not."""
    try:
        if git.succeeds("merge-base", "--is-ancestor", branch.commit, report.after):
            report.merged.append(Merged(branch=branch, already=True))
            return
        options = ("--write-tree", "-z", "--name-only", "--no-messages")
        answer = git.call("merge-tree", *options, report.after, branch.commit, codes=(0, 1), timeout_s=LONG_S)
        tree, *files = [os.fsdecode(each) for each in answer.out.split(b"\0") if each]
        if answer.exit_code:
            report.conflicts.append(Conflict(branch=branch, files=tuple(dict.fromkeys(files))))
            return
        message = f"Merge {branch.name}\n\nWavepool-Run: {report.run_id}\n"
        parents = ("-p", report.after, "-p", branch.commit)
        made = git.with_env(**identity).line("commit-tree", tree, *parents, "-F", "-", stdin=os.fsencode(message))
    except GitError as error:
        report.conflicts.append(Conflict(branch=branch, problem=" ".join(error.message.split())))
        return
    report.after = made
    report.merged.append(Merged(branch=branch))


@contextmanager
def _apart(repository: Repository, *, keep_objects: bool) -> Iterator[Git]:
    """Git with an empty work tree and no index: nothing names any attributes. Objects are kept only where wanted."""
    with tempfile.TemporaryDirectory(prefix="wavepool-merge-") as scratch:
        tree, objects = Path(scratch) / "tree", Path(scratch) / "objects"
        tree.mkdir()
        objects.mkdir()
        git = repository.git.on(tree, index=Path(scratch) / "index")
        if not keep_objects:
            git = git.with_env(
                GIT_OBJECT_DIRECTORY=os.fspath(objects), GIT_ALTERNATE_OBJECT_DIRECTORIES=os.fspath(repository.objects)
            )
        yield git


def _checkout_of(repository: Repository, branch: str) -> Path | None:
    """Where a branch is checked out, if it is.

    Raises:
        InputError: where it cannot be brought up to date: it has changes of its own, or is another worktree.
    """
    place: str | None = None
    for line in repository.git.paths("worktree", "list", "--porcelain", "-z"):
        word, _, rest = line.partition(" ")
        if word == "worktree":
            place = rest
        elif word == "branch" and rest == f"refs/heads/{branch}" and place is not None:
            break
    else:
        return None
    if Path(place) != repository.top:
        raise InputError(
            f"{branch} is checked out in the worktree {place}",
            advice="Check out another branch there, or leave --into out.",
        )
    if count := repository.uncommitted():
        changes = "1 uncommitted change" if count == 1 else f"{count} uncommitted changes"
        raise InputError(
            f"{branch} is checked out in {place}, which has {changes}",
            advice="Commit or stash them, or leave --into out and merge the branch that is made by hand.",
        )
    if repository.uses_filters(branch):
        raise InputError(
            f"{branch} is checked out in {place}, and has files that a filter writes (git-lfs is one)",
            advice="Leave --into out, and merge the branch that is made by hand: filters are run by nobody but you.",
        )
    return Path(place)


def _move(repository: Repository, target: str, old: str | None, new: str, checkout: Path | None) -> Path | None:
    if checkout is not None:
        repository.git.call("merge", "--ff-only", "--no-autostash", "--quiet", new, timeout_s=LONG_S)
        repository.give_back("refs", "logs")
    elif old is not None:
        repository.move_branch(target, new, old)
    elif not repository.make_branch(target, new):
        raise GitError(f"the branch {target} cannot be made", advice="Another branch may be called `wavepool`.")
    return checkout


def check_git(git: Git) -> None:
    """See that this git can merge without a checkout. Raises InputError."""
    words = git.line("version").split()
    numbers = tuple(int(each) for each in words[2].split(".")[:2]) if len(words) > 2 else (0, 0)
    if numbers < GIT_WANTED:
        wanted = ".".join(map(str, GIT_WANTED))
        raise InputError(
            f"this is {' '.join(words)}", advice=f"Install git {wanted} or later: it merges without a checkout."
        )


def _branch(task_id: str, changes: Changes) -> Branch:
    return Branch(task_id=task_id, name=changes.branch or "", commit=changes.commit or "", base=changes.base)


def _told(branch: Branch) -> dict[str, Any]:
    return {"task_id": branch.task_id, "branch": branch.name, "commit": branch.commit}
