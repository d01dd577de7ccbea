"""A tree of git's, made from the files of a directory that an agent wrote to.

Git itself is asked which files there are and is told each that goes in; nothing in the directory is obeyed but
.gitignore and the harmless attributes (line ends, encodings). A directory with a ``.git`` of its own, which ``git add``
would ask git inside, is taken as the plain files that it has.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wavepool.workspace.git import LONG_S, Git, GitError

FILE_MAX_BYTES = 256 * 1024 * 1024
"""A larger file is left out, and told: every clone of the repository would carry it for ever."""
ONE_BY_ONE_MAX = 2000
"""Files that are tried one after the other, where git refuses some of them."""
NESTED_MAX = 8
"""Repositories in repositories in ...; what lies deeper is left out, and told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the files amount to.

    Attributes:
        tree: in hex.
        left_out: of the files that git would have taken: ``path (why)``. They are nowhere but in the directory.
        remarks: what was taken otherwise than git would have.
    """

    tree: str
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def snapshot(git: Git, commit: str | None, *, depth: int = 0) -> Snapshot:
    """The tree of `git.work_tree` as it is now, through `git`'s index, which holds it afterwards.

    Args:
        git: with filters off; its work tree is not written to while this goes on.
        commit: what the files are compared with; None for nothing.

    Raises:
        GitError: git cannot make it.
    """
    assert git.work_tree is not None
    git.call("read-tree", *(("--reset", commit) if commit else ("--empty",)), timeout_s=LONG_S)
    git.call("update-index", "-q", "--refresh", codes=None, timeout_s=LONG_S)
    listed = git.call("ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard", timeout_s=LONG_S)
    sorting = _Sorting(git.work_tree)
    for path in dict.fromkeys(os.fsdecode(each) for each in listed.out.split(b"\0") if each):
        sorting.sort(path)
    _remove(git, sorting.gone)
    left_out = [*_unlisted(listed.words), *_submodules(git), *sorting.left_out, *_add(git, sorting.wanted)]
    remarks: list[str] = []
    for path in sorting.nested:
        found = _nested(git, path, depth=depth)
        left_out += found.left_out
        remarks += found.remarks
    return Snapshot(tree=git.line("write-tree", timeout_s=LONG_S), left_out=tuple(left_out), remarks=tuple(remarks))


def _submodules(git: Git) -> list[str]:
    """Those that have something in them: they were empty, and git looks into none."""
    assert git.work_tree is not None
    entries = git.paths("ls-files", "-z", "--stage")
    paths = [entry.partition("\t")[2] for entry in entries if entry.startswith("160000 ")]
    return [f"{path}/ (a submodule)" for path in paths if not _is_empty(git.work_tree / path)]


def _is_empty(place: Path) -> bool:
    """Nothing is in there, or it is no directory."""
    try:
        return place.is_symlink() or not os.listdir(place)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _unlisted(words: str) -> list[str]:
    prefix = "warning: could not open directory "
    return [line.removeprefix(prefix) for line in words.splitlines() if line.startswith(prefix)]


class _Sorting:
    """What is to be done with each path that git names."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)
        self._links: dict[str, bool] = {"": False}
        self.wanted: list[str] = []
        self.gone: list[str] = []
        self.nested: list[str] = []
        self.left_out: list[str] = []

    def sort(self, path: str) -> None:
        if path.endswith("/"):
            self.nested.append(path.rstrip("/"))
            return
        try:
            status = None if self._behind_link(path) else os.lstat(os.path.join(self._root, path))
        except OSError:
            status = None
        if status is None:
            self.gone.append(path)
        elif stat.S_ISLNK(status.st_mode):
            self.wanted.append(path)
        elif stat.S_ISREG(status.st_mode):
            self._sort_file(path, status.st_size)
        elif not stat.S_ISDIR(status.st_mode):  # a directory is a submodule, and told as such
            self.gone.append(path)
            self.left_out.append(f"{path} (neither a file nor a link)")

    def _sort_file(self, path: str, size_bytes: int) -> None:
        if size_bytes > FILE_MAX_BYTES:
            self.left_out.append(f"{path} ({size_bytes} bytes, larger than {FILE_MAX_BYTES})")
        elif not os.access(os.path.join(self._root, path), os.R_OK):
            self.left_out.append(f"{path} (not readable)")
        else:
            self.wanted.append(path)

    def _behind_link(self, path: str) -> bool:
        """A directory above it became a link: the path leads to what is no part of the tree, maybe of the host."""
        parent = os.path.dirname(path)
        if parent not in self._links:
            self._links[parent] = self._behind_link(parent) or os.path.islink(os.path.join(self._root, parent))
        return self._links[parent]


def _remove(git: Git, paths: Sequence[str]) -> None:
    if paths:
        zero = "0" * 40
        lines = b"".join(f"0 {zero}\t".encode() + os.fsencode(path) + b"\0" for path in paths)
        git.call("update-index", "-z", "--index-info", stdin=lines, timeout_s=LONG_S)


def _add(git: Git, paths: Sequence[str]) -> list[str]:
    """Those that were left out, each with git's reason."""
    if not paths:
        return []
    try:
        return _added(git, paths)
    except GitError:
        if len(paths) > ONE_BY_ONE_MAX:
            raise
    left_out: list[str] = []
    for path in paths:
        try:
            left_out += _added(git, (path,))
        except GitError as error:
            left_out.append(f"{path} ({' '.join((error.words or error.message).split())})")
    return left_out


def _added(git: Git, paths: Sequence[str]) -> list[str]:
    stdin = b"".join(os.fsencode(path) + b"\0" for path in paths)
    said = git.call("update-index", "-z", "--add", "--replace", "--stdin", stdin=stdin, timeout_s=LONG_S).words
    return [
        f"{line.removeprefix('Ignoring path ')} (no name that git takes)"
        for line in said.splitlines()
        if line.startswith("Ignoring path ")
    ]


def _nested(git: Git, path: str, *, depth: int) -> Snapshot:
    """Put the files of a repository inside the tree into the index, below `path`."""
    assert git.work_tree is not None
    if depth >= NESTED_MAX:
        return Snapshot(tree="", left_out=(f"{path}/ (repositories in repositories)",))
    with tempfile.TemporaryDirectory(prefix="wavepool-index-") as scratch:
        inner = snapshot(git.on(git.work_tree / path, index=Path(scratch) / "index"), None, depth=depth + 1)
    git.call("read-tree", f"--prefix={path}/", inner.tree, timeout_s=LONG_S)
    return Snapshot(
        tree=inner.tree,
        left_out=tuple(f"{path}/{each}" for each in inner.left_out),
        remarks=(f"{path}/ was a repository of its own; its files were taken, its commits not", *inner.remarks),
    )
