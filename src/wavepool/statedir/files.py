"""Locks, and files that are private, whole, and on the disk: what directories here are made with."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wavepool.errors import InfrastructureError

_POLL_S = 0.01


def size_of(directory: Path) -> int:
    """Bytes that the files below `directory` take on the disk; what vanishes meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
            except OSError:
                continue
    return total


def delete_tree(tree: Path) -> int:
    size_bytes = size_of(tree)
    with told(tree, "remove"):
        remove_tree(tree)
    return size_bytes


def remove_tree(tree: Path) -> None:
    """Delete a directory that a task wrote to: one whose directories are locked, or deeper than Python can follow, too.

    Raises:
        OSError: something of it resists.
    """
    try:
        shutil.rmtree(tree)
    except (PermissionError, RecursionError) as error:
        # A file goes where its directory may be written to; and these two follow to any depth.
        for argv in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run([*argv, "--", os.fspath(tree)], check=False, capture_output=True)
        if os.path.lexists(tree):
            if isinstance(error, PermissionError):
                raise
            raise OSError(errno.EIO, "it lies too deep", os.fspath(tree)) from None


def leads_to(path: Path, descriptor: int) -> bool:
    try:
        there, ours = path.stat(), os.fstat(descriptor)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def take_lock(descriptor: int, kind: int, *, patience_s: float) -> bool:
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_POLL_S)
        else:
            return True


@contextmanager
def opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    """A descriptor that children do not inherit: a lock must not live on in them. Any lock on it is dropped."""
    with told(path, "open"):
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        with contextlib.suppress(OSError):
            # Closing alone would not drop it while a child of ours stands between fork and exec with a copy.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def open_regular(path: Path) -> int:
    """A descriptor to read this file, which nobody waits for: of who may write beside our files some plant a FIFO.

    Raises:
        OSError: it cannot be opened, or is a link or no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return descriptor


def make_private(directory: Path) -> None:
    """Make it and what is missing above it, all 0700. One that exists keeps its mode: it may not be ours alone."""
    for path in (*reversed(directory.parents), directory):
        if not path.is_dir():
            path.mkdir(mode=0o700, exist_ok=True)


def write_once(path: Path, text: str) -> None:
    """Make the file with this content, unless another process is faster; nobody ever sees it half written."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
    finally:
        new.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_ADVICE = {
    errno.EACCES: "See that you own the directory and may write to it, or choose another with --state-dir.",
    errno.EPERM: "See that you own the directory and may write to it, or choose another with --state-dir.",
    errno.EROFS: "The file system is read-only: choose another place with --state-dir.",
    errno.ENOSPC: "The disk is full: free some space, or choose another place with --state-dir.",
    errno.EDQUOT: "Your quota is used up: free some space, or choose another place with --state-dir.",
    errno.ENOTDIR: "A file stands where a directory is needed: move it, or choose another place with --state-dir.",
    errno.EEXIST: "A file stands where a directory is needed: move it, or choose another place with --state-dir.",
}


@contextmanager
def told(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InfrastructureError(
            f"cannot {verb} {error.filename or path}: {error.strerror or error}",
            advice=_ADVICE.get(error.errno or 0, "Choose another place with --state-dir."),
        ) from error
