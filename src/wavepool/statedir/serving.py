"""Where the one process that serves a state directory is found, and the lock that makes it the one."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wavepool.errors import InfrastructureError
from wavepool.statedir.files import make_private, opened, take_lock, told
from wavepool.statedir.rundir import LOOK_PATIENCE_S


class ServerPlace:
    """Files of `wavepool serve` in a state directory. Making the object touches nothing.

    Attributes:
        state_dir: the directory.
        socket: where it listens.
    """

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.socket = state_dir / "serve.sock"
        self._lock = state_dir / "serve.lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the one that serves, until the block ends or this process does.

        Raises:
            InfrastructureError: another process is, or the state directory cannot be written to.
        """
        with told(self.state_dir, "make"):
            make_private(self.state_dir)
        with opened(self._lock) as descriptor:
            if not take_lock(descriptor, fcntl.LOCK_EX, patience_s=LOOK_PATIENCE_S):
                raise InfrastructureError(
                    f"{self.state_dir} is served already, by process {self.holder() or '(unknown)'}",
                    advice="`wavepool pool status` asks it. Another `wavepool serve` needs another --state-dir.",
                )
            with told(self._lock, "write"):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
            try:
                yield
            finally:
                os.ftruncate(descriptor, 0)  # only one that was killed leaves its name

    def is_live(self) -> bool:
        """True while a process serves. Creates nothing.

        Raises:
            InfrastructureError: the lock file cannot be opened.
        """
        if not self._lock.exists():
            return False
        with opened(self._lock, os.O_RDONLY) as descriptor:
            return not take_lock(descriptor, fcntl.LOCK_SH, patience_s=0.0)

    def holder(self) -> str:
        """Process id and host of who serves, or, where nobody does, of who died at it; empty where neither is known."""
        try:
            return " on ".join(self._lock.read_text("utf-8", errors="replace").split())
        except OSError:
            return ""
