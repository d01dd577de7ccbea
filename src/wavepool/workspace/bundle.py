"""A private clone's commits on their way out: a bundle, made where the agent worked, read here as what it is: data."""

from __future__ import annotations

import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from wavepool.workspace.git import LONG_S, GitError
from wavepool.workspace.repository import Repository

BUNDLE_S = 600.0
"""How long git may work in the agent's container."""
BUNDLE_MAX_BYTES = 4 * 1024 * 1024 * 1024
HEADER_MAX_BYTES = 1024 * 1024

NO_GIT, NO_REPOSITORY, NO_COMMIT, FAILED = 127, 14, 15, 16
"""Exit codes of the script. Where there is no git the agent had none either, and all of its work is in its files."""

WHY = {
    126: "the image has no git that can be executed",
    NO_REPOSITORY: "the agent left no repository that git can read: its commits, if any, are lost",
    NO_COMMIT: "the agent left its repository without a commit",
    FAILED: "git could not put the agent's commits together",
}

SCRIPT = r"""
base=$1
out=${WAVEPOOL_OUTPUT:-/output}
cd "${WAVEPOOL_WORKSPACE:-.}" || exit 16
command -v git >/dev/null 2>&1 || exit 127
ulimit -f 8388608 2>/dev/null
export GIT_NO_REPLACE_OBJECTS=1 GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
g() {
    git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c safe.directory='*' -c pack.threads=1 \
        -c core.pager=cat "$@"
}
g rev-parse --git-dir >/dev/null 2>"$out/words" || exit 14
head=$(g rev-parse --verify --quiet 'HEAD^{commit}') || exit 15
[ -n "$head" ] || exit 15
if [ "$head" != "$base" ]; then
    g bundle create -q "$out/head" HEAD "^$base" 2>"$out/words" || exit 16
fi
more=$(g rev-list -n 1 --all --not HEAD "$base" 2>/dev/null)
if [ -n "$more" ]; then
    g bundle create -q "$out/more" --all --not HEAD "$base" >/dev/null 2>&1 || rm -f "$out/more"
fi
exit 0
"""
"""Run by the shell of the agent's image, in a container without network, by whatever git is there. What it writes to
the output directory may be anything."""


def script(base: str) -> tuple[str, ...]:
    """The argv that makes the bundles."""
    return ("/bin/sh", "-c", SCRIPT, "wavepool-bundle", base)


class BundleRefused(GitError):
    """What came out is not what we take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a bundle says that it has: names and commits. `offset` is where its objects begin."""

    refs: dict[str, str]
    offset: int


def take_commits(repository: Repository, path: Path) -> str:
    """Read a bundle's objects into the repository, each checked; the commit that was its HEAD, in hex.

    No branch knows it yet. A bundle that is refused leaves no branch, and no object that a branch leads to.

    Raises:
        GitError: it is no bundle, is too large, or has objects that git would not have made.
    """
    with open_plain(path) as file:
        header = read_header(file)
        tip = header.refs.get("HEAD")
        if tip is None:
            raise BundleRefused("the bundle has no HEAD")
        file.seek(header.offset)
        os.lseek(file.fileno(), header.offset, os.SEEK_SET)
        options = ("--stdin", "--fix-thin", "--strict", f"--max-input-size={BUNDLE_MAX_BYTES}")
        try:
            repository.git.call("index-pack", *options, stdin=file, timeout_s=LONG_S)
            repository.git.call("rev-list", "--objects", "--quiet", tip, "--not", "--all", timeout_s=LONG_S)
        finally:
            repository.give_back("objects")
    return tip


def keep(path: Path, target: Path) -> list[str]:
    """Keep a bundle that nobody asked for, for a person to look at; the names in it. Raises GitError, OSError."""
    with open_plain(path) as file:
        names = [name for name in read_header(file).refs if name != "HEAD"]
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        with open(target, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
    return [re.sub(r"[^\x21-\x7e]", "?", name.removeprefix("refs/heads/")) for name in names]


def open_plain(path: Path) -> IO[bytes]:
    """Open what an agent may have put there: only a plain file, no link, of a bounded size. Raises BundleRefused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise BundleRefused(f"{path.name} cannot be read: {error.strerror}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_size > BUNDLE_MAX_BYTES:
        os.close(descriptor)
        raise BundleRefused(f"{path.name} is no plain file of at most {BUNDLE_MAX_BYTES} bytes")
    return os.fdopen(descriptor, "rb", buffering=0)


def read_header(file: IO[bytes]) -> Header:
    """The lines before the objects. Raises BundleRefused."""
    data = file.read(HEADER_MAX_BYTES)
    head, gap, _ = data.partition(b"\n\n")
    lines = head.split(b"\n")
    if not gap or lines[0] not in (b"# v2 git bundle", b"# v3 git bundle"):
        raise BundleRefused("it is no bundle of git's")
    refs: dict[str, str] = {}
    for line in lines[1:]:
        if found := re.fullmatch(rb"([0-9a-f]{40}|[0-9a-f]{64}) (\S+)", line):
            refs[os.fsdecode(found[2])] = found[1].decode()
        elif not re.match(rb"[-@]", line):
            raise BundleRefused("its header has a line that no bundle has")
    return Header(refs=refs, offset=len(head) + len(gap))
