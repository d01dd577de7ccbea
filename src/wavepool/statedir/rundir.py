"""The directory of one run, and the lock that says whose it is now."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from wavepool.errors import InfrastructureError, InvariantBroken, RunLocked
from wavepool.statedir.files import leads_to, make_private, opened, sync_directory, take_lock, told

LOOK_PATIENCE_S = 0.2
"""How long a lock may be refused because somebody only looks whether it is held; a look takes microseconds."""


BEAT_S = 30.0
"""Between two signs of life of the process that works on a run."""


LOCK_TRIES = 100
"""How often a run's lock is taken anew because the run was removed meanwhile; once is what really happens."""


_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")


def new_run_id(now: datetime) -> str:
    """A run id that sorts by time, as ``20261120-231530-4f2a``; two made in one second hardly ever agree."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


class RunDir:
    """The directory of one run. The paths may be used once `create` or `lock` made them.

    Attributes:
        id: the run id, a valid one.
        path: the directory itself.
        journal: the journal's file.
        results: the results file.
        logs, slots, artifacts, data: directories.
        control: the socket of the process that works on it, if one does.
        usage: the file of what it used over its time.
        detached_log: stdout and stderr of the process that was started with `--detach`.
    """

    def __init__(self, path: Path) -> None:
        self.id = path.name
        self.path = path
        self.journal = path / "journal.db"
        self.results = path / "results.json"
        self.logs = path / "logs"
        self.slots = path / "slots"
        self.artifacts = path / "artifacts"
        self.data = path / "data"
        self.control = path / "control.sock"
        self.usage = path / "usage"
        self.detached_log = path / "detached.log"
        self._lock = path / "lock"

    def create(self) -> None:
        """Make the directories; what exists stays.

        Raises:
            InfrastructureError: the state directory cannot be written to.
        """
        with told(self.path, "make"):
            for directory in (self.path, self.logs, self.slots, self.artifacts):
                make_private(directory)
            sync_directory(self.path.parent)

    def slot(self, key: str, number: int) -> Path:
        """Make (or find) the slot of attempt `number` of the task with this key: a directory of mode 0755.

        Readable for all, as the attempt may run as another user; the directories above it let nobody else in.

        Raises:
            InfrastructureError: it cannot be made.
        """
        path = self._slot(key, number)
        with told(path, "make"):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)  # whatever the umask took away
        return path

    def drop_slot(self, key: str, number: int) -> None:
        """Remove a slot with all that is in it, if it is there. What resists stays until the run is released."""
        shutil.rmtree(self._slot(key, number), ignore_errors=True)

    def sidecar_data(self, key: str, number: int) -> Path:
        """Where the sidecars of attempt `number` of the task with this key keep their data; made by who needs it."""
        return self.data / self._slot(key, number).name

    def _slot(self, key: str, number: int) -> Path:
        if not _KEY.fullmatch(key) or number < 1:
            raise InvariantBroken(f"no slot can be named after {key!r} and {number}")
        return self.slots / f"{key}.{number}"

    @contextmanager
    def lock(self, *, as_its_process: bool = True) -> Iterator[None]:
        """Hold the run: nobody else can until the block ends, or this process.

        The process that works on the run touches the lock file all `BEAT_S`, so that `last_sign_of_life` is known
        after its death. Whoever only clears up after one holds it with `as_its_process` False, which leaves that time
        as it was.

        Raises:
            RunLocked: another process holds it (or this one does, elsewhere).
            InfrastructureError: the state directory cannot be written to.
        """
        with ExitStack() as stack:
            descriptor = next((found for _ in range(LOCK_TRIES) if (found := self._locked(stack)) is not None), None)
            if descriptor is None:
                raise RunLocked(self.id, self.holder())
            before = os.fstat(descriptor)
            with told(self._lock, "write"):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
            if as_its_process:
                with _beating(descriptor):
                    yield
                return
            try:
                yield
            finally:
                if before.st_size:  # else it was made just now
                    os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))

    def _locked(self, stack: ExitStack) -> int | None:
        """Take the lock; None where the run was removed meanwhile, and a lock on what is gone would guard nothing."""
        try:
            self.create()
            descriptor = stack.enter_context(opened(self._lock))
        except InfrastructureError as error:
            if isinstance(error.__cause__, FileNotFoundError) and self.path.parent.is_dir():
                return None
            raise
        if not take_lock(descriptor, fcntl.LOCK_EX, patience_s=LOOK_PATIENCE_S):
            raise RunLocked(self.id, self.holder())
        return descriptor if leads_to(self._lock, descriptor) else None

    def is_live(self) -> bool:
        """True while a process holds the run. Creates nothing.

        Raises:
            InfrastructureError: the lock file cannot be opened.
        """
        if not self._lock.exists():
            return False
        with opened(self._lock, os.O_RDONLY) as descriptor:  # nothing needs to be writable for a look
            # A shared lock, so that two who look do not take each other for a run.
            return not take_lock(descriptor, fcntl.LOCK_SH, patience_s=0.0)

    def last_sign_of_life(self) -> datetime | None:
        """When a process was last seen to work on the run, to `BEAT_S`; None where none ever held it."""
        try:
            return datetime.fromtimestamp(self._lock.stat().st_mtime, UTC)
        except OSError:
            return None

    def holder(self) -> str:
        """Process id and host of the last holder, for people; empty if unknown. No proof that it lives."""
        try:
            return self._lock.read_text("utf-8", errors="replace").strip()
        except OSError:
            return ""


@contextmanager
def _beating(descriptor: int) -> Iterator[None]:
    """Touch the file all `BEAT_S` until the block ends, in a thread: it must go on while an event loop is busy."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_S):
            with contextlib.suppress(OSError):  # a full disk or a lost mount is told where something is written
                os.utime(descriptor)

    beater = threading.Thread(target=beat, name="sign-of-life", daemon=True)
    beater.start()
    try:
        yield
    finally:
        over.set()
        beater.join()
