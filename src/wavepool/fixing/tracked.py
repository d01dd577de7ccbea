"""Which files that git has a check changes: its word is then not about what is committed. All of it blocks.

Nothing is written, neither to the work tree nor to its index.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wavepool.errors import WavepoolError
from wavepool.workspace.git import LONG_S, Git
from wavepool.workspace.repository import Repository

_NAMES = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv")


def unlike(git: Git, commit: str, *, below: str = ".") -> list[str]:
    """Files of a work tree that are not as in a commit; those that git has never heard of are none of them.

    Args:
        below: a directory of the work tree; no others are looked at.

    Raises:
        GitError: git cannot tell.
    """
    return git.paths("diff", *_NAMES, commit, "--", f":(literal){below}", timeout_s=LONG_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a directory of the user's stands: a commit, and a digest of each file that is not as in it."""

    commit: str
    digests: Mapping[str, str]


def standing(directory: Path, *, commit: str | None = None) -> Standing | None:
    """How it stands towards a commit, HEAD unless told; None outside of git, and where git cannot tell."""
    with suppress(WavepoolError):
        repository = Repository.at(directory)  # anew: what agents have written to its settings since is switched off
        commit = commit or repository.head()
        below = os.path.relpath(os.path.realpath(directory), os.path.realpath(repository.top))
        names = unlike(repository.git, commit, below=below)
        return Standing(commit=commit, digests={each: _digest(repository.top / each) for each in names})
    return None


def changed_since(before: Standing | None, directory: Path) -> tuple[str, ...]:
    """Tracked files that are not as they were; none where that is not known."""
    after = None if before is None else standing(directory, commit=before.commit)
    if before is None or after is None:
        return ()
    was, now = before.digests, after.digests
    return tuple(sorted(each for each in {*was, *now} if was.get(each) != now.get(each)))


def _digest(path: Path) -> str:
    """Of what it is; no link is followed, and nothing that could block is opened."""
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return f"link {os.readlink(path)}"
        if not stat.S_ISREG(status.st_mode):
            return "other"
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return f"{bool(status.st_mode & 0o100)} {hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        return f"error {error.errno}"
