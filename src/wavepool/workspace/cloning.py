"""A private clone that shares the objects of the user's repository. Made by the host, before any agent is near."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from wavepool.errors import WorkspaceError
from wavepool.model import Mount
from wavepool.workspace.git import Git
from wavepool.workspace.repository import Repository

OBJECTS_TARGET = "/run/wavepool-git/objects"
"""Where the user's objects are seen inside, read-only."""
CHAIN_MAX = 16
"""Repositories that borrow from one another; git itself follows five."""

_COPIED = ("core.autocrlf", "core.eol", "core.fileMode", "core.ignoreCase", "core.symlinks", "core.precomposeUnicode")
"""Settings that say how files are written; all others may name programs or hold passwords."""


def make_clone(repository: Repository, tree: Path, *, base: str, branch: str, objects: list[str]) -> None:
    """Make a clone in `tree`, an empty directory, with `branch` checked out at `base` and no other.

    Args:
        objects: where the borrowed objects are for who works in it.

    Raises:
        WorkspaceError: it cannot be made.
    """
    git_dir = tree / ".git"
    form = repository.git.line("rev-parse", "--show-object-format")
    git = Git(
        git_dir=git_dir,
        work_tree=tree,
        env={**repository.identity, "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.fspath(repository.objects)},
    )
    git.call("init", "--quiet", "--template=", f"--object-format={form}", f"--initial-branch={branch}")
    for name in _COPIED:
        value = repository.git.call("config", "--get", name, codes=None).out.decode("utf-8", "replace").strip()
        if value:
            git.call("config", name, value)
    try:
        (git_dir / "objects" / "info" / "alternates").write_text("".join(f"{each}\n" for each in objects))
        if (repository.common / "shallow").exists():
            shutil.copyfile(repository.common / "shallow", git_dir / "shallow")
    except OSError as error:
        raise WorkspaceError(f"cannot make the clone {tree}: {error.strerror or error}") from error
    git.call("update-ref", f"refs/heads/{branch}", base)
    repository.check_out(git, base)


def borrowed(repository: Repository) -> list[Path]:
    """The directories that hold the repository's objects: its own, and those that it borrows from in turn."""
    found: list[Path] = []
    waiting = [repository.objects]
    while waiting and len(found) < CHAIN_MAX:
        here = waiting.pop(0)
        if here in found or not here.is_dir():
            continue
        found.append(here)
        with suppress(OSError):
            lines = (here / "info" / "alternates").read_text("utf-8", errors="surrogateescape").splitlines()
            waiting += [Path(os.path.normpath(here / line)) for line in lines if line and not line.startswith("#")]
    return found


def mounts_of(objects: list[Path]) -> tuple[Mount, ...]:
    """The repository's own objects at `OBJECTS_TARGET`; what those borrow where they say that it is."""
    targets = [OBJECTS_TARGET, *(os.fspath(each) for each in objects[1:])]
    return tuple(Mount(source=os.fspath(each), target=target) for each, target in zip(objects, targets, strict=True))


def check_readable(objects: list[Path]) -> None:
    """See that another user than their owner can read the objects, as far as their directories and packs tell.

    Raises:
        WorkspaceError: he cannot.
    """
    for root in objects:
        for path in (root, *root.glob("[0-9a-f][0-9a-f]"), *root.glob("pack/*.pack")):
            mode = path.stat().st_mode
            wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
            if mode & wanted != wanted:
                raise WorkspaceError(
                    f"{path} cannot be read by the user that agents run as",
                    advice=f"`chmod -R o+rX {root}` lets others read the repository's objects.",
                )
