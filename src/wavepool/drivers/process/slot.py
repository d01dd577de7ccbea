"""What reaches a task from outside: its prompt, its secrets, its environment.

There is no mount namespace here: files lie where the host has them, and variables say where.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.process.liveness import ATTEMPT_VARIABLE
from wavepool.errors import NotStarted

PROMPT_FILE = "prompt"
VARIABLE_MAX_BYTES = 32 * 4096
"""The kernel's bound for one ``NAME=value`` with its NUL (MAX_ARG_STRLEN, binfmts.h)."""
INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""All that a task sees of the orchestrator's own environment."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAKE_ATTEMPTS = 5
_SECRET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whom a task runs as."""

    uid: int
    gid: int

    @classmethod
    def parse(cls, text: str) -> User:
        """From ``uid:gid``, or ``uid`` for a group of the same number.

        Raises:
            NotStarted: it is something else.
        """
        match = re.fullmatch(r"([0-9]{1,10})(?::([0-9]{1,10}))?", text, re.ASCII)
        if match is None:
            raise NotStarted(f"user {text!r} is not of the form uid:gid, nor uid")
        return cls(uid=int(match[1]), gid=int(match[2] or match[1]))


def switched_user(spec: AttemptSpec) -> User | None:
    """Whom to become; None to stay who we are (only root may become another).

    Raises:
        NotStarted: `spec.user` is neither ``uid:gid`` nor ``uid``.
    """
    if spec.user is None or os.geteuid() != 0:
        return None
    return User.parse(spec.user)


class SecretStore:
    """Directories of secrets in memory, one for each attempt: 0700, files 0400. All calls block shortly.

    `root` None looks for a tmpfs: /dev/shm, then the user's runtime directory. Nothing is ever written to a disk.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root if root is not None else _root_in_memory()

    @property
    def root(self) -> Path | None:
        """Where the directories lie; None where this host has no tmpfs for us."""
        return self._root

    def place(self, name: str) -> Path | None:
        """The directory of one attempt, whether it exists or not."""
        return None if self._root is None else self._root / name

    def check(self, values: Mapping[str, bytes]) -> None:
        """See that secrets of these names can be kept.

        Raises:
            NotStarted: there is no tmpfs, or a name is not safe as a file name.
        """
        for key in values:
            if not _SECRET_NAME.fullmatch(key):
                raise NotStarted(f"{key!r} cannot be the name of a secret's file")
        if values and self._root is None:
            raise NotStarted(
                "secrets need a tmpfs, and this host has none for us",
                advice="Mount a tmpfs at /dev/shm, or use the Docker driver.",
            )

    def put(self, name: str, values: Mapping[str, bytes], user: User | None) -> None:
        """Write the secrets of one attempt; safe to repeat.

        Raises:
            NotStarted: there is no tmpfs, the root is not ours, or a name is not safe as a file name.
            OSError: the tmpfs is full.
        """
        self.check(values)
        directory = self.place(name)
        if directory is None:
            return
        _make_private(directory, user)
        for key, value in values.items():
            _replace(directory / key, value, 0o400, user)

    def remove(self, name: str) -> None:
        """Delete the secrets of one attempt; none is no error."""
        directory = self.place(name)
        if directory is not None and directory.exists():
            shutil.rmtree(directory)

    def prune(self) -> None:
        """Remove the root where nothing is in it."""
        if self._root is not None:
            with contextlib.suppress(OSError):
                self._root.rmdir()


def write_prompt(spec: AttemptSpec, user: User | None) -> Path:
    """Put the prompt into the slot, byte for byte; safe to repeat. OSError where the slot cannot be written."""
    path = spec.slot.absolute() / PROMPT_FILE
    _replace(path, spec.prompt.encode("utf-8", "surrogatepass"), 0o444, user)
    return path


def environment_of(
    spec: AttemptSpec, *, inherited: Mapping[str, str], prompt_file: Path, secrets_dir: Path | None, user: User | None
) -> dict[str, str]:
    """All variables of the task: a few of ours, those of the spec, and last the driver's own."""
    env = {"PATH": DEFAULT_PATH, "HOME": "/", "LANG": "C.UTF-8"}
    env.update({name: inherited[name] for name in INHERITED if name in inherited})
    if user is not None:
        env.update(_home_of(user))
        env.pop("TMPDIR", None)
    env.update(spec.env)
    prompt = spec.prompt.encode("utf-8", "surrogatepass")
    if len("TASK_PROMPT=") + len(prompt) < VARIABLE_MAX_BYTES and b"\0" not in prompt:
        env["TASK_PROMPT"] = spec.prompt
    else:
        env.pop("TASK_PROMPT", None)
    env["TASK_PROMPT_FILE"] = str(prompt_file)
    env["WAVEPOOL_WORKSPACE"] = str(spec.workspace.absolute())
    env[ATTEMPT_VARIABLE] = spec.name
    if secrets_dir is not None:
        env["WAVEPOOL_SECRETS_DIR"] = str(secrets_dir)
    return env


def _home_of(user: User) -> dict[str, str]:
    try:
        entry = pwd.getpwuid(user.uid)
    except KeyError:
        return {"HOME": "/tmp", "USER": str(user.uid), "LOGNAME": str(user.uid)}
    return {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}


def _root_in_memory() -> Path | None:
    uid = os.geteuid()
    for place in (Path("/dev/shm"), Path(f"/run/user/{uid}")):
        if os.access(place, os.W_OK | os.X_OK) and _filesystem_of(place) == "tmpfs":
            return place / f"wavepool-processes-{uid}"
    return None


def _filesystem_of(path: Path) -> str | None:
    """Type of the file system at a mount point; the last mount there counts."""
    found = None
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, *_ = line.split(" ")
        found = kind if target == str(path) else found
    return found


def _make_private(directory: Path, user: User | None) -> None:
    """Make the directory of one attempt and its parent, which another process may prune at the same time."""
    for _ in range(_MAKE_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            directory.parent.mkdir(mode=0o711, exist_ok=True)
            _insist_that_it_is_ours(directory.parent)
            directory.mkdir(mode=0o700, exist_ok=True)
            os.chmod(directory.parent, 0o711)
            if user is not None:
                os.chown(directory, user.uid, user.gid)
            return
    raise NotStarted(f"{directory} cannot be kept in existence", transient=True)


def _insist_that_it_is_ours(directory: Path) -> None:
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():  # anybody may write into /dev/shm
        raise NotStarted(f"{directory} belongs to someone else: no secret is put there")


def _replace(path: Path, content: bytes, mode: int, user: User | None) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            os.fchmod(fd, mode)
            if user is not None:
                os.fchown(fd, user.uid, user.gid)
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
