"""Repositories that a check has made inside the worktree, where `git clean` looks away from them. All of it blocks."""

from __future__ import annotations

import os
from pathlib import Path

from wavepool.errors import WorkspaceError
from wavepool.workspace.git import LONG_S, Git
from wavepool.workspace.removal import delete

_SUBMODULE = "160000"


def drop_nested(git: Git, tree: Path, commit: str) -> None:
    """Remove what `git clean` leaves: a ``.git`` in a directory of the commit, and all that lies in a submodule's.

    Submodules are empty directories in a worktree of ours. Untracked directories are left to `git clean`.

    Args:
        tree: what `commit` is checked out in. No link in there is followed.

    Raises:
        WorkspaceError: something resists.
    """
    top = os.path.realpath(tree)
    for entry in git.paths("ls-tree", "-r", "-t", "-z", commit, timeout_s=LONG_S):
        about, _, name = entry.partition("\t")
        path = os.path.join(top, name)
        if about.startswith(_SUBMODULE):
            _empty(Path(path))
        elif about.split()[1] == "tree" and _is_real(path):
            _remove(Path(path, ".git"))


def _empty(path: Path) -> None:
    if not _is_real(os.fspath(path.parent)):
        return
    try:
        if path.is_symlink() or not path.is_dir() or os.listdir(path):
            _remove(path)
            path.mkdir()
    except OSError as error:
        raise WorkspaceError(f"cannot empty {path}: {error.strerror or error}") from error


def _is_real(path: str) -> bool:
    return os.path.realpath(path) == path


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        try:
            path.unlink()
        except OSError as error:
            raise WorkspaceError(f"cannot remove {path}: {error.strerror or error}") from error
    elif os.path.lexists(path):
        delete(path)
