"""Where Wavepool keeps what must outlive it: who owns the containers, and each run's journal, logs and slots.

::

    <state>/                 0700 where we make it
    ├── owner                0600: 16 hex digits, made once; containers and networks carry it as a label
    ├── processes/           records of attempts that are plain processes
    ├── stacks/<name>/       a development stack: lock, and data/ with what its services wrote
    ├── networks/<digest>    lock files: a live run holds a shared lock on each network that it uses
    ├── removed/             directories of runs that are being deleted, or were until a crash
    └── runs/<run id>/
        ├── lock             held (flock) as long as a process works on the run; names that process for people
        ├── journal.db       journal.db-tip beside it says how many facts it must hold
        ├── control.sock     0600: looks and cancels, served by the process that works on the run
        ├── detached.log     what a process that was started with --detach had to say
        ├── results.json
        ├── logs/            output of attempts
        ├── slots/           <task key>.<attempt number>/, one for each attempt
        ├── data/            <task key>.<attempt number>/<sidecar>/: what sidecars wrote; kept with the run
        └── artifacts/

Locks are flock(2): the kernel drops them with their process, however it dies. Lock files are never deleted, as a
lock on a deleted file guards nothing; but for a run's, with its run and by whoever holds it: who had waited for it
sees that its file is not there any more, and begins anew.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from wavepool.errors import InfrastructureError, InvariantBroken, RunLocked

LOOK_PATIENCE_S = 0.2
"""How long a lock may be refused because somebody only looks whether it is held; a look takes microseconds."""

BEAT_S = 30.0
"""Between two signs of life of the process that works on a run."""

LOCK_TRIES = 100
"""How often a run's lock is taken anew because the run was removed meanwhile; once is what really happens."""

REMOVAL_PATIENCE_S = 30.0
"""How long a new run waits for the removal of a network that it is about to use."""

SPAWN_RECORD = "spawned.json"
"""In the artifacts of a spawn, which keeps no journal: its manifest, which names the network that it used."""

_POLL_S = 0.01
_OWNER = re.compile(r"[0-9a-f]{16}")
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
        self.detached_log = path / "detached.log"
        self._lock = path / "lock"

    def create(self) -> None:
        """Make the directories; what exists stays.

        Raises:
            InfrastructureError: the state directory cannot be written to.
        """
        with _told(self.path, "make"):
            for directory in (self.path, self.logs, self.slots, self.artifacts):
                _make_private(directory)
            _sync_directory(self.path.parent)

    def slot(self, key: str, number: int) -> Path:
        """Make (or find) the slot of attempt `number` of the task with this key: a directory of mode 0755.

        Readable for all, as the attempt may run as another user; the directories above it let nobody else in.

        Raises:
            InfrastructureError: it cannot be made.
        """
        path = self._slot(key, number)
        with _told(path, "make"):
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
            with _told(self._lock, "write"):
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
            descriptor = stack.enter_context(_opened(self._lock))
        except InfrastructureError as error:
            if isinstance(error.__cause__, FileNotFoundError) and self.path.parent.is_dir():
                return None
            raise
        if not _take(descriptor, fcntl.LOCK_EX, patience_s=LOOK_PATIENCE_S):
            raise RunLocked(self.id, self.holder())
        return descriptor if _leads_to(self._lock, descriptor) else None

    def is_live(self) -> bool:
        """True while a process holds the run. Creates nothing.

        Raises:
            InfrastructureError: the lock file cannot be opened.
        """
        if not self._lock.exists():
            return False
        with _opened(self._lock, os.O_RDONLY) as descriptor:  # nothing needs to be writable for a look
            # A shared lock, so that two who look do not take each other for a run.
            return not _take(descriptor, fcntl.LOCK_SH, patience_s=0.0)

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


class StateDir:
    """One state directory. Making the object touches nothing; directories come into being when they are needed."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._runs = self.path / "runs"
        self._networks = self.path / "networks"
        self._removed = self.path / "removed"
        self._stacks = self.path / "stacks"

    def owner(self) -> str:
        """The directory's id, 16 hex digits; made by the first who asks, the same for all ever after.

        Raises:
            InfrastructureError: it cannot be made or read, or the file holds something else.
        """
        path = self.path / "owner"
        with _told(path, "read"):
            if not path.exists():
                _make_private(self.path)
                _write_once(path, secrets.token_hex(8))
            text = path.read_text("ascii", errors="replace").strip()
        if not _OWNER.fullmatch(text):
            raise InfrastructureError(
                f"{path}: expected 16 hex digits, the owner of this state directory's containers",
                advice="Restore the file, or choose another --state-dir. A new id would not find the old containers.",
            )
        return text

    def stack_data(self, name: str) -> Path:
        """Where the services of a stack keep their data; made by who needs it. `name` was validated by who read it."""
        return self._stack(name) / "data"

    def drop_stack(self, name: str) -> list[str]:
        """Remove the data of a stack; one sentence for each thing that is still there."""
        problems: list[str] = []

        def note(_: object, path: str, error: BaseException) -> None:
            problems.append(f"{path} is still there: {getattr(error, 'strerror', None) or error}")

        data = self.stack_data(name)
        if data.exists():
            shutil.rmtree(data, onerror=lambda function, path, info: note(function, path, info[1]))
        return problems

    @contextmanager
    def changing_stack(self, name: str) -> Iterator[None]:
        """Change the stack called `name` inside this block: one process at a time.

        Raises:
            InfrastructureError: another process is at it, or the state directory cannot be written to.
        """
        directory = self._stack(name)
        with _told(directory, "make"):
            _make_private(directory)
        with _opened(directory / "lock") as descriptor:
            if not _take(descriptor, fcntl.LOCK_EX, patience_s=LOOK_PATIENCE_S):
                raise InfrastructureError(
                    f"another process changes the stack {name} just now", advice="Wait for it to end, then try again."
                )
            yield

    def _stack(self, name: str) -> Path:
        if not name or name in {".", ".."} or "/" in name or "\0" in name:
            raise InvariantBroken(f"{name!r} cannot name a directory")
        return self._stacks / name

    def processes(self) -> Path:
        """Where attempts that are plain processes keep their records; made where it is missing.

        Raises:
            InfrastructureError: the state directory cannot be written to.
        """
        path = self.path / "processes"
        with _told(path, "make"):
            _make_private(path)
        return path

    def run(self, run_id: str) -> RunDir:
        """The directory of a run, whether it exists or not. `run_id` was validated by whoever read it."""
        if not run_id or run_id in {".", ".."} or "/" in run_id or "\0" in run_id:
            raise InvariantBroken(f"{run_id!r} cannot name a directory")
        return RunDir(self._runs / run_id)

    def runs(self) -> list[str]:
        """The ids of all runs that have a directory here, sorted.

        Raises:
            InfrastructureError: the state directory cannot be read.
        """
        with _told(self._runs, "read"):
            try:
                return sorted(entry.name for entry in os.scandir(self._runs) if entry.is_dir())
            except FileNotFoundError:
                return []

    def remove_run(self, run_id: str) -> int:
        """Remove a run's directory, whose lock the caller holds; returns the bytes that were freed.

        It leaves the runs in one step. What a crash leaves of it is in `half_removed`.

        Raises:
            InfrastructureError: something of it resists; it is no run any more all the same, if it could be renamed.
        """
        source, target = self._runs / run_id, self._removed / f"{run_id}.{secrets.token_hex(4)}"
        with _told(source, "remove"):
            _make_private(self._removed)
            source.rename(target)
            _sync_directory(self._runs)
        return _delete(target)

    def half_removed(self) -> list[Path]:
        """What removals that were cut off have left. Empty where the state directory cannot be read."""
        try:
            return sorted(self._removed.iterdir())
        except OSError:
            return []

    def finish_removal(self, path: Path) -> int:
        """Delete one of `half_removed`, unless somebody is just doing that; returns the bytes that were freed.

        Raises:
            InfrastructureError: something of it resists.
        """
        lock = path / "lock"
        if not lock.exists():
            return _delete(path)
        with _opened(lock, os.O_RDONLY) as descriptor:
            return _delete(path) if _take(descriptor, fcntl.LOCK_EX, patience_s=0.0) else 0

    @contextmanager
    def network_lease(self, name: str, *, patience_s: float = REMOVAL_PATIENCE_S) -> Iterator[None]:
        """Hold the network called `name` for a run: nobody removes it. Any number of runs may hold it.

        Take it before the network is looked for or created. Blocks up to `patience_s` while somebody removes it.

        Raises:
            InfrastructureError: it is still being removed, or the state directory cannot be written to.
        """
        with self._network_file(name) as descriptor:
            if not _take(descriptor, fcntl.LOCK_SH, patience_s=patience_s):
                raise InfrastructureError(
                    f"network {name}: another process has been removing it for {patience_s:.0f} s",
                    advice="Wait for it to end (`wavepool cleanup` or a run that ends), or choose another --network.",
                )
            yield

    @contextmanager
    def making(self, name: str, *, patience_s: float = REMOVAL_PATIENCE_S) -> Iterator[None]:
        """Look for the network called `name`, or make it, inside this block: one process at a time.

        An engine takes two of one name that are made at once, and then refuses every start as ambiguous.

        Raises:
            InfrastructureError: another process is still at it after `patience_s`, or the state directory cannot be
                written to.
        """
        with self._network_file(f"making {name}") as descriptor:
            if not _take(descriptor, fcntl.LOCK_EX, patience_s=patience_s):
                raise InfrastructureError(
                    f"network {name}: another process has been making it for {patience_s:.0f} s",
                    advice="See whether the Docker daemon answers (`docker network ls`), then try again.",
                )
            yield

    @contextmanager
    def try_exclusive(self, name: str) -> Iterator[bool]:
        """True if no run holds the network: then none can take it until the block ends, and it may be removed.

        A run that ends gives up its own lease first.

        Raises:
            InfrastructureError: the state directory cannot be written to.
        """
        with self._network_file(name) as descriptor:
            yield _take(descriptor, fcntl.LOCK_EX, patience_s=0.0)

    @contextmanager
    def _network_file(self, name: str) -> Iterator[int]:
        path = self._networks / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        with _told(self._networks, "make"):
            _make_private(self._networks)
        with _opened(path) as descriptor:
            yield descriptor


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


def _delete(tree: Path) -> int:
    size_bytes = size_of(tree)
    with _told(tree, "remove"):
        shutil.rmtree(tree)
    return size_bytes


def _leads_to(path: Path, descriptor: int) -> bool:
    try:
        there, ours = path.stat(), os.fstat(descriptor)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _take(descriptor: int, kind: int, *, patience_s: float) -> bool:
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
def _opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    """A descriptor that children do not inherit: a lock must not live on in them. Any lock on it is dropped."""
    with _told(path, "open"):
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        with contextlib.suppress(OSError):
            # Closing alone would not drop it while a child of ours stands between fork and exec with a copy.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


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


def _make_private(directory: Path) -> None:
    """Make it and what is missing above it, all 0700. One that exists keeps its mode: it may not be ours alone."""
    for path in (*reversed(directory.parents), directory):
        if not path.is_dir():
            path.mkdir(mode=0o700, exist_ok=True)


def _write_once(path: Path, text: str) -> None:
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
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
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
def _told(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InfrastructureError(
            f"cannot {verb} {error.filename or path}: {error.strerror or error}",
            advice=_ADVICE.get(error.errno or 0, "Choose another place with --state-dir."),
        ) from error
