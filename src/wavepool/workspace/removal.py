"""Directories that agents wrote to, given to another user, and deleted again."""

from __future__ import annotations

import os
from pathlib import Path

from wavepool.errors import WorkspaceError
from wavepool.statedir.files import remove_tree


def give_to(directory: Path, owner: tuple[int, int] | None, *, spare: str = "") -> None:
    """Make a directory and all in it belong to `owner` (uid, gid); None changes nothing. No link is followed.

    `spare`: the name of one entry of it that stays as it is.

    Raises:
        WorkspaceError: not allowed.
    """
    if owner is None:
        return
    try:
        for place, directories, files in os.walk(directory):
            os.lchown(place, *owner)
            for name in (*directories, *files):
                if not (spare and place == os.fspath(directory) and name == spare):
                    os.lchown(os.path.join(place, name), *owner)
    except OSError as error:
        raise WorkspaceError(f"cannot give {error.filename} to user {owner[0]}: {error.strerror}") from error


def delete(directory: Path) -> None:
    """Delete a directory with all in it, if it is there; directories that their owner locked too.

    Raises:
        WorkspaceError: something resists.
    """
    try:
        remove_tree(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise WorkspaceError(
            f"cannot remove {error.filename or directory}: {error.strerror or error}",
            advice="It may belong to another user: remove it as that one, or as root.",
        ) from error
