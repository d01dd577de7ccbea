"""What the branch of a fix would bring to the user's checkout, and whether that is clean enough for it. All blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wavepool.listeners.wording import count, printable
from wavepool.workspace.diff import figures
from wavepool.workspace.git import LONG_S
from wavepool.workspace.repository import Repository

NAMED = 5
"""Files that are named at most."""
NAME_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Brings:
    """What lies between the beginning of a branch and its end.

    Attributes:
        files, insertions, deletions: as `git diff --stat` counts them.
        deleted: files that are no more.
        uncommitted: paths of the user's checkout that are not as in its commit.
        clashing: those of them that the branch changes too.
    """

    files: int
    insertions: int
    deletions: int
    deleted: tuple[str, ...] = ()
    uncommitted: int = 0
    clashing: tuple[str, ...] = ()

    def lines(self, branch: str) -> Iterator[str]:
        """What a merge would bring, and what stands in its way: to be known before one is told to merge."""
        gone = f", {some(self.deleted, 'file')} deleted" if self.deleted else ""
        changes = f"{count(self.files, 'file')} changed, +{self.insertions} -{self.deletions}"
        yield f"the branch: {changes}{gone}: git diff HEAD...{branch}"
        if self.clashing:
            yield (
                "git merge needs a clean checkout: commit or stash first; uncommitted, and changed by the branch too: "
                f"{some(self.clashing, 'file')}"
            )
        elif self.uncommitted:
            yours = count(self.uncommitted, "uncommitted change")
            yield f"git merge needs a clean checkout, and yours has {yours}: commit or stash first"

    def result(self) -> dict[str, Any]:
        """As JSON; of many files the first."""
        return {
            "files": self.files,
            "insertions": self.insertions,
            "deletions": self.deletions,
            "deleted_files": len(self.deleted),
            "deleted": list(self.deleted[:NAMED]),
            "uncommitted": self.uncommitted,
            "clashing": list(self.clashing[:NAMED]),
        }


def some(names: Sequence[str], kind: str) -> str:
    """``7 files (a.py, b.py, c.py, d.py, e.py, ...)``."""
    shown = [printable(each, NAME_MAX) for each in names[:NAMED]]
    return f"{count(len(names), kind)} ({', '.join([*shown, *(['...'] if len(names) > NAMED else [])])})"


def brings(repository: Repository, base: str, tip: str) -> Brings:
    """Compare two commits, and the second with the checkout. Raises GitError."""
    git = repository.git
    counted = figures(git, base, tip)
    names = ("diff-tree", "-r", "--name-only", "-z")
    touched = git.paths(*names, "--no-renames", base, tip, timeout_s=LONG_S)
    entries = git.paths("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all")
    dirty = [entry[3:] for entry in entries]
    alone = {each for each in dirty if not each.endswith("/")}
    below = tuple(each for each in dirty if each.endswith("/"))
    return Brings(
        files=counted.files,
        insertions=counted.insertions,
        deletions=counted.deletions,
        deleted=tuple(git.paths(*names, "-M", "--diff-filter=D", base, tip, timeout_s=LONG_S)),
        uncommitted=len(dirty),
        clashing=tuple(each for each in touched if each in alone or (below and each.startswith(below))),
    )
