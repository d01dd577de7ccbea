"""Where one `wavepool fix` keeps the worktree that it works in, and the lock that says whether it still does."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from wavepool.errors import InfrastructureError
from wavepool.statedir.files import leads_to, make_private, opened, remove_tree, take_lock, told
from wavepool.statedir.rundir import LOCK_TRIES, LOOK_PATIENCE_S


class FixPlace:
    """Files of one fix in a state directory, ``<state>/fixes/<id>``. Making the object touches nothing.

    Attributes:
        id: of the fix.
        path: the directory.
        tree: where its worktree is.
        journal: what was decided and seen in it; stays when all else of it is over.
    """

    def __init__(self, path: Path) -> None:
        self.id = path.name
        self.path = path
        self.tree = path / "tree"
        self.journal = path / "journal.db"
        self._record = path / "record.json"
        self._lock = path / "lock"

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Make it, and hold it until the block ends, or this process does; False where another process holds it.

        Raises:
            InfrastructureError: the state directory cannot be written to.
        """
        with ExitStack() as stack:
            tries = (self._locked(stack, make=True) for _ in range(LOCK_TRIES))
            yield next((locked for locked in tries if locked is not None), False)

    @contextmanager
    def taken_over(self) -> Iterator[bool]:
        """Hold what a dead process left; False where one lives that holds it, or it is gone. Makes no directory.

        Raises:
            InfrastructureError: the state directory cannot be written to.
        """
        with ExitStack() as stack:
            yield bool(self._locked(stack, make=False))

    def is_dead(self) -> bool:
        """Whether it is there and nobody holds it. Makes nothing, and keeps the lock from nobody.

        Raises:
            InfrastructureError: its lock cannot be opened.
        """
        try:
            with opened(self._lock, os.O_RDONLY) as descriptor:
                free = take_lock(descriptor, fcntl.LOCK_SH, patience_s=0.0)  # shared: two who look see the same
                return free and leads_to(self._lock, descriptor)
        except InfrastructureError as error:
            if _not_there(error):  # who holds it makes the lock first, and removes it last
                return self._record.exists()
            raise

    def holder(self) -> str:
        """Process id and host of the last holder, for people; empty if unknown. No proof that it lives."""
        try:
            return self._lock.read_text("utf-8", errors="replace").strip()
        except OSError:
            return ""

    def is_live(self) -> bool:
        """Whether a process holds it. Makes nothing. Raises InfrastructureError: its lock cannot be opened."""
        return self._lock.exists() and not self.is_dead()

    def remove(self, *, journal: bool = False) -> None:
        """Delete all of it but its journal, what is known of it late and the lock last. Only for whoever holds it.

        Args:
            journal: that too.

        Raises:
            InfrastructureError: something resists.
        """
        last = (self._record.name, self._lock.name)
        with told(self.path, "remove"), suppress(FileNotFoundError):
            for name in sorted(os.listdir(self.path), key=lambda each: (each in last, each == self._lock.name)):
                if journal or not name.startswith(self.journal.name):
                    _remove(self.path / name)
            with suppress(OSError):  # somebody has begun anew in it
                self.path.rmdir()

    def _locked(self, stack: ExitStack, *, make: bool) -> bool | None:
        """Take the lock: False where another process has it, None where it went away meanwhile."""
        try:
            if make:
                with told(self.path, "make"):
                    make_private(self.path)
            descriptor = stack.enter_context(opened(self._lock))
        except InfrastructureError as error:
            if _not_there(error):
                return None
            raise
        if not take_lock(descriptor, fcntl.LOCK_EX, patience_s=LOOK_PATIENCE_S):
            return False if leads_to(self._lock, descriptor) else None
        if not leads_to(self._lock, descriptor):
            return None
        with told(self._lock, "write"):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
        return True

    def write(self, record: Mapping[str, Any]) -> None:
        """Put what is written down of it on the disk, in one step. Raises InfrastructureError."""
        new = self._record.with_suffix(".new")
        with told(self._record, "write"), open(new, "w", encoding="utf-8") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        with told(self._record, "write"):
            new.rename(self._record)

    def read(self) -> Mapping[str, Any] | None:
        """What is written down of it; None for nothing.

        Raises:
            InfrastructureError: it cannot be read, or is no JSON object.
        """
        with told(self._record, "read"):
            try:
                raw = self._record.read_bytes()
            except FileNotFoundError:
                return None
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise self.damaged(str(error)) from error
        if not isinstance(found, dict):
            raise self.damaged("no JSON object")
        return found

    def damaged(self, why: str) -> InfrastructureError:
        """What is said where `read` has brought nothing that can be used."""
        advice = f"Remove {self.path}, and call `git worktree prune` in the repository that it worked on."
        return InfrastructureError(f"{self._record} is damaged: {why}", advice=advice)


def _not_there(error: InfrastructureError) -> bool:
    return isinstance(error.__cause__, FileNotFoundError)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)
