"""What an attempt finds in files: its prompt in the slot, its secrets on a tmpfs. All calls block; use a thread."""

from __future__ import annotations

import os
import re
import secrets as randomness
import shutil
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from wavepool.drivers.holdings import HeldSecrets
from wavepool.errors import NotStarted

_MARK = ".of-"
"""Start of the name of the file that says whose secrets those beside it are; no attempt's name starts with a dot."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_IDS = re.compile(r"(\d+)(?::(\d+))?")


def default_secrets_dir() -> Path:
    """A directory of this user on the host's shared-memory tmpfs: nothing in it ever reaches a disk's file system."""
    return Path(f"/dev/shm/wavepool-{os.getuid()}")


def write_prompt(slot: Path, prompt: str) -> Path:
    """Write the prompt byte for byte and readable by any user; returns the directory that holds the file ``prompt``.

    Raises:
        OSError: the slot cannot be written.
    """
    directory = slot / "prompt"
    directory.mkdir(mode=0o755, exist_ok=True)
    directory.chmod(0o755)  # the umask may have cut it
    draft = directory / f".prompt.{randomness.token_hex(8)}"  # two who start the same attempt at once do not meet
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444), "wb") as file:
        os.fchmod(file.fileno(), 0o444)
        file.write(prompt.encode("utf-8", "surrogatepass"))
    draft.rename(directory / "prompt")
    return directory


class SecretStore:
    """Secrets of attempts, each in a directory of the attempt's name under `root`, which only this user may enter."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def place(self, name: str, secrets: Mapping[str, bytes], user: str, *, owner: str = "", run_id: str = "") -> Path:
        """Write the secrets of attempt `name` for the container user `user`; returns their directory.

        Beside it a file says which owner's and which run's they are: a name alone makes nothing ours.

        Files have mode 0400 and belong to that user. Where we may not give them away (we are not root) and it is not
        us, or the user is a name that only the image knows, they are readable by all: the directory above lets only
        this user in on the host, and inside there is nobody else.

        Raises:
            NotStarted: a secret's name is no file name, or the place is not ours alone.
            OSError: it cannot be written.
        """
        self._open_root()
        directory = self._root / name
        self._mark(name).write_text(f"{owner} {run_id}\n", "utf-8")  # first, so that none is ever without it
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        for secret, value in secrets.items():
            if not _NAME.fullmatch(secret):
                raise NotStarted(
                    f"{name}: {secret!r} cannot be the name of a secret", advice="Use letters, digits, _ . -"
                )
            path = directory / secret
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400), "wb") as file:
                file.write(value)
            give(path, user, private=0o400, public=0o444)
        give(directory, user, private=0o500, public=0o555)
        return directory

    def held(self, owner: str) -> tuple[HeldSecrets, ...]:
        """The secrets that were put down for this owner's attempts and are still there."""
        found: list[HeldSecrets] = []
        for mark in sorted(self._root.glob(f"{_MARK}*")):
            try:
                whose, _, run_id = mark.read_text("utf-8").strip().partition(" ")
                since = datetime.fromtimestamp(mark.stat().st_mtime, UTC)
            except OSError:
                continue  # gone since, or not ours to read
            if whose == owner:
                found.append(HeldSecrets(name=mark.name.removeprefix(_MARK), run_id=run_id, since=since))
        return tuple(found)

    def discard(self, name: str) -> None:
        """Delete the secrets of attempt `name`; none there is fine.

        Raises:
            OSError: they are there and cannot be deleted.
        """
        directory = self._root / name
        try:
            shutil.rmtree(directory)
        except FileNotFoundError:
            pass
        except PermissionError:  # not root, and the directory is ours but not writable
            directory.chmod(0o700)
            shutil.rmtree(directory)
        self._mark(name).unlink(missing_ok=True)

    def _mark(self, name: str) -> Path:
        return self._root / f"{_MARK}{name}"

    def _open_root(self) -> None:
        try:
            self._root.mkdir(mode=0o700, exist_ok=True)
            status = self._root.lstat()
        except OSError as error:
            raise NotStarted(
                f"secrets need a directory in memory, and {self._root} cannot be made: {error.strerror}",
                advice="Mount a tmpfs there, or leave the secrets out.",
            ) from error
        # /dev/shm is open to all: someone else may have made the directory, or a link, first.
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise NotStarted(
                f"{self._root} is not a directory of ours alone", advice=f"Remove it: `rm -r {self._root}`."
            )


def give(path: Path, user: str, *, private: int, public: int) -> None:
    """Let the container user `user` use `path`, and where possible nobody else: mode `private`, else `public`."""
    owner = user_ids(user)
    if owner is not None and os.geteuid() == 0:
        os.chown(path, *owner)
    elif owner is None or owner[0] != os.getuid():
        path.chmod(public)
        return
    path.chmod(private)


def user_ids(user: str) -> tuple[int, int] | None:
    """(uid, gid) of ``uid`` or ``uid:gid``; None for a name, which only the image knows."""
    match = _IDS.fullmatch(user)
    return (int(match[1]), int(match[2] or match[1])) if match else None
