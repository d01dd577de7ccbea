"""Directories that agents wrote to, given to another user, and deleted again."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from wavepool.errors import WorkspaceError


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
        if not _deleted(directory):
            _unlock(directory)
            shutil.rmtree(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise WorkspaceError(
            f"cannot remove {error.filename or directory}: {error.strerror or error}",
            advice="It may belong to another user: remove it as that one, or as root.",
        ) from error


def _deleted(directory: Path) -> bool:
    """False where something may not be deleted."""
    try:
        shutil.rmtree(directory)
    except PermissionError:
        return False
    return True


def _unlock(directory: Path) -> None:
    """Let us write to every directory of ours in there: a file goes where its directory may be written to."""
    for place, directories, _ in os.walk(directory):
        for each in (place, *(os.path.join(place, name) for name in directories)):
            with suppress(OSError):
                status = os.lstat(each)
                if stat.S_ISDIR(status.st_mode):
                    os.chmod(each, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)
