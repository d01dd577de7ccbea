"""Where one `wavepool fix` keeps the worktree that it works in, and the lock that says whether it still does."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wavepool.errors import InfrastructureError
from wavepool.statedir.files import leads_to, make_private, opened, take_lock, told


class FixPlace:
    """Files of one fix in a state directory, ``<state>/fixes/<id>``. Making the object touches nothing.

    Attributes:
        id: of the fix.
        path: the directory.
        tree: where its worktree is.
    """

    def __init__(self, path: Path) -> None:
        self.id = path.name
        self.path = path
        self.tree = path / "tree"
        self._record = path / "record.json"
        self._lock = path / "lock"

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold it until the block ends, or this process does; False where another process does, or it is gone.

        Raises:
            InfrastructureError: the state directory cannot be written to.
        """
        with told(self.path, "make"):
            make_private(self.path)
        with opened(self._lock) as descriptor:
            if not take_lock(descriptor, fcntl.LOCK_EX, patience_s=0.0) or not leads_to(self._lock, descriptor):
                yield False
                return
            with told(self._lock, "write"):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
            yield True

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
            InfrastructureError: it cannot be read.
        """
        with told(self._record, "read"):
            try:
                text = self._record.read_text("utf-8")
            except FileNotFoundError:
                return None
        try:
            found = json.loads(text)
        except ValueError as error:
            raise InfrastructureError(f"{self._record} is damaged: {error}", advice=f"Remove {self.path}.") from error
        return found if isinstance(found, dict) else None
