"""Worktrees of the user's repository, as they are added and taken away. All of it blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from wavepool.errors import WorkspaceError
from wavepool.workspace.names import WORKTREES, numbered
from wavepool.workspace.removal import delete
from wavepool.workspace.repository import Repository

NAMES_TRIED = 1000


def add_worktree(
    repository: Repository, *, name: str, branch: str, commit: str, intend: Callable[[Path, str], None]
) -> tuple[Path, str, Path]:
    """Make a worktree in ``.worktrees`` on a new branch at `commit`; the caller holds the repository's `turn`.

    Args:
        name, branch: as they are wanted; where one is taken, the next number is added to it.
        intend: told the directory and the branch before either is made.

    Returns:
        Its directory, its branch, its git directory.

    Raises:
        WorkspaceError: it cannot be made.
    """
    parent = repository.top / WORKTREES
    if parent.is_symlink():
        raise WorkspaceError(f"{parent} is a link, and worktrees are made in no other place", advice="Remove the link.")
    repository.exclude_worktrees()
    place = free_place(parent, name)
    made = new_branch(repository, branch, commit, lambda each: intend(place, each))
    try:
        parent.mkdir(exist_ok=True)
        repository.git.call("worktree", "add", "--quiet", "--no-checkout", os.fspath(place), made)
        admin = admin_of(repository, place)
        if admin is None:
            raise WorkspaceError(f"git has made no worktree in {place}")
        repository.check_out(repository.of_worktree(admin, place), commit)
    except OSError as error:
        raise WorkspaceError(f"cannot make {place}: {error.strerror or error}") from error
    finally:
        repository.give_back("worktrees", "logs")
    return place, made, admin


def take_away(repository: Repository, place: Path) -> None:
    """Delete a worktree with git's record of it, if they are there; never another's. Its branch stays.

    The caller holds the repository's `turn`.

    Raises:
        WorkspaceError: something of it resists.
    """
    admin = admin_of(repository, place)
    delete(place)
    if admin is not None:
        delete(admin)
    for empty in (place.parent, repository.common / "worktrees"):
        with suppress(OSError):
            empty.rmdir()


def admin_of(repository: Repository, place: Path) -> Path | None:
    """The git directory of the worktree that is in `place`, by the repository's own word and not by the worktree's."""
    wanted = os.path.realpath(place.parent) + f"/{place.name}/.git"
    for admin in (repository.common / "worktrees").glob("*"):
        with suppress(OSError, ValueError):
            told = Path((admin / "gitdir").read_text("utf-8", errors="surrogateescape").strip())
            if os.path.realpath(told.parent.parent) + f"/{told.parent.name}/.git" == wanted:
                return admin
    return None


def free_place(parent: Path, name: str) -> Path:
    """The first of the numbered names that nothing has. Raises WorkspaceError."""
    for each in islice(numbered(name), NAMES_TRIED):
        if not os.path.lexists(parent / each):
            return parent / each
    raise WorkspaceError(f"{parent} has {NAMES_TRIED} worktrees of the name {name}", advice="Remove some of them.")


def new_branch(repository: Repository, wanted: str, commit: str, intend: Callable[[str], None]) -> str:
    """Make a branch at `commit` under the first free name; `intend` is told each name before it is tried.

    Raises:
        WorkspaceError: all are taken.
    """
    for name in _candidates(wanted):
        if repository.tip(name) is not None:
            continue
        intend(name)
        if repository.make_branch(name, commit):
            return name
        if repository.tip(name) is None and name == wanted:
            # Not the name is taken but its first part, by a branch that is called so.
            return new_branch(repository, wanted.replace("/", "-"), commit, intend)
    raise WorkspaceError(f"no branch {wanted} can be made: {NAMES_TRIED} of the name are there", advice="Delete some.")


def _candidates(wanted: str) -> Iterator[str]:
    return islice(numbered(wanted), NAMES_TRIED)
