"""What lies between two commits of the user's repository: a patch and its figures."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from wavepool.workspace.git import LONG_S, Git, GitError

PATCH_MAX_BYTES = 1024 * 1024 * 1024
"""A larger patch is not kept; the branch has it all."""

_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "-M", "--ignore-submodules=none")


class Figures(NamedTuple):
    """As in the last line of ``git diff --stat``."""

    files: int
    insertions: int
    deletions: int


def figures(git: Git, base: str, tip: str) -> Figures:
    """Files changed, lines added and taken away. Raises GitError."""
    text = git.line("diff-tree", "-r", "--shortstat", *_PLAIN, base, tip, timeout_s=LONG_S)
    return Figures(
        _number(r"(\d+) files? changed", text), _number(r"(\d+) insert", text), _number(r"(\d+) delet", text)
    )


def write_patch(git: Git, base: str, tip: str, path: Path) -> bool:
    """Write what ``git apply`` takes to `path` (0600); False where it would be too large, and is not there.

    `base` and `tip` are commits or trees.

    Raises:
        GitError: it cannot be made.
        OSError: it cannot be written.
    """
    new = path.with_name(f".{path.name}.new")
    options = ("-r", "-p", "--binary", "--full-index", *_PLAIN)
    with open(new, "wb", opener=_private) as file:
        try:
            git.call("diff-tree", *options, base, tip, timeout_s=LONG_S, most_bytes=PATCH_MAX_BYTES, to=file)
        except GitError as error:
            new.unlink(missing_ok=True)
            if error.git_exit_code is None:
                return False
            raise
    new.rename(path)
    return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0
