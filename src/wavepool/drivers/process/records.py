"""The index of attempts on disk: what was asked for, who took it on, how it ended.

::

    <base>/attempts/<name>/
        record.json    what was asked for; the directory appears together with it, by one rename
        started        who took it on: its supervisor, or a stop that came first; made once, by link(2)
        stop.<token>   the grace of one stop in seconds, written before SIGTERM goes to the supervisor
        output.log     the framed output
        exit.json      how it ended; made once, by link(2)
        errors         what the supervisor itself had to say

So each fact has one writer that wins, whatever crashes in between.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wavepool.drivers.base import AttemptSpec, Handle, Scope
from wavepool.drivers.boot import boot_id
from wavepool.drivers.process.liveness import ProcessIdentity, own_identity
from wavepool.errors import InfrastructureError
from wavepool.labels import DETACHED
from wavepool.model import AttemptId

DRIVER_NAME = "process"
RECORD_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_DRAFT, _RETIRED = ".new-", ".gone-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was asked for. `boot_id` is the boot in which it was; `secrets_dir` and `cgroups` are to be removed."""

    name: str
    owner: str
    run_id: str
    wave: int
    task_id: str
    attempt: int
    spec_hash: str
    labels: Mapping[str, str]
    memory_bytes: int
    boot_id: str
    secrets_dir: str | None = None
    cgroups: tuple[str, ...] = ()
    version: int = RECORD_VERSION

    @classmethod
    def of(cls, spec: AttemptSpec, *, secrets_dir: Path | None, cgroups: tuple[str, ...]) -> Record:
        return cls(
            name=spec.name,
            owner=spec.owner,
            run_id=spec.run_id,
            wave=spec.wave,
            task_id=spec.attempt.task_id,
            attempt=spec.attempt.number,
            spec_hash=spec.spec_hash,
            labels=dict(spec.labels),
            memory_bytes=spec.limits.memory_bytes,
            boot_id=boot_id(),
            secrets_dir=None if secrets_dir is None else str(secrets_dir),
            cgroups=cgroups,
        )

    @property
    def handle(self) -> Handle:
        return Handle(driver=DRIVER_NAME, id=self.name, name=self.name, attempt=AttemptId(self.task_id, self.attempt))

    def agrees_with(self, spec: AttemptSpec) -> bool:
        """True if `spec` is this very attempt."""
        mine = (self.owner, self.run_id, self.task_id, self.attempt, self.spec_hash)
        return mine == (spec.owner, spec.run_id, spec.attempt.task_id, spec.attempt.number, spec.spec_hash)

    def within(self, scope: Scope) -> bool:
        """True if the attempt is in `scope`; a scope that is one network holds no attempts."""
        detached = self.labels.get(DETACHED) == "true"
        return (
            scope.shared_network is None
            and self.owner == scope.owner
            and scope.run_id in (None, self.run_id)
            and scope.wave in (None, self.wave)
            and scope.detached in (None, detached)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Who took an attempt on. `supervisor` is None where a stop or a removal came first: then it never runs."""

    at: float
    supervisor: ProcessIdentity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """How an attempt ended, as the supervisor (or, with `lost`, whoever missed it) wrote it down.

    Attributes:
        status: the raw status of wait(2); None where the program was never executed.
        exec_error: `exit_code` (126, 127) and `text` where the program could not be executed.
        setup_error: why it never came to executing anything.
        lost: why nobody knows how it ended.
        started_at, finished_at: seconds since the epoch.
        stop_requested_at: when we were first asked to stop it.
        signals_sent: those that we sent to it.
        oom_kills: processes killed for memory in its cgroup; None without one.
        oom_age_s: seconds between the last such kill seen while it ran and its end.
        memory_peak_bytes, cpu_s: what it used.
        log_dropped_bytes: output beyond the cap.
        leftovers_killed: processes that were still there when the main process had ended.
    """

    started_at: float | None = None
    finished_at: float | None = None
    status: int | None = None
    exec_error: Mapping[str, Any] | None = None
    setup_error: str | None = None
    lost: str | None = None
    stop_requested_at: float | None = None
    signals_sent: tuple[str, ...] = ()
    oom_kills: int | None = None
    oom_age_s: float | None = None
    memory_peak_bytes: int | None = None
    cpu_s: float | None = None
    log_dropped_bytes: int = 0
    leftovers_killed: int = 0
    version: int = field(default=RECORD_VERSION)


class Records:
    """The attempts below one base directory. All calls block shortly; OSError where the disk fails."""

    def __init__(self, base_dir: Path) -> None:
        self._root = base_dir / "attempts"

    def open(self) -> None:
        """Make the directory, and sweep what crashed starts and removals left."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for entry in self._root.iterdir():
            if entry.name.startswith(_RETIRED) or (entry.name.startswith(_DRAFT) and not _draft_is_live(entry.name)):
                shutil.rmtree(entry, ignore_errors=True)

    def path(self, name: str) -> Path:
        """The directory of an attempt.

        Raises:
            InfrastructureError: no derived name looks like this.
        """
        if not _NAME.fullmatch(name):
            raise InfrastructureError(f"{name!r} cannot be the name of an attempt")
        return self._root / name

    def names(self) -> list[str]:
        """All attempts that exist; empty where the directory does not."""
        try:
            return [name for name in os.listdir(self._root) if not name.startswith(".")]
        except FileNotFoundError:
            return []

    def within(self, scope: Scope) -> Iterator[Record]:
        """The records of all in `scope`."""
        for name in self.names():
            record = self.read(name)
            if record is not None and record.within(scope):
                yield record

    def create(self, record: Record) -> bool:
        """Put a record on disk for good, unless one of that name exists. True if it was us."""
        me = own_identity()
        draft = self._root / f"{_DRAFT}{me.pid}-{me.ticks}-{secrets.token_hex(4)}"
        draft.mkdir(mode=0o700)
        try:
            _write_synced(draft / "record.json", json.dumps(asdict(record)))
            os.rename(draft, self.path(record.name))
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if self.path(record.name).exists():
                return False
            raise
        _sync_directory(self._root)
        return True

    def read(self, name: str) -> Record | None:
        """None where there is no such attempt."""
        found = _load(self.path(name) / "record.json")
        if found is None:
            return None
        return Record(**{**found, "cgroups": tuple(found["cgroups"])})

    def mark(self, name: str) -> Mark | None:
        """Who took it on; None while nobody has."""
        found = _load(self.path(name) / "started")
        if found is None:
            return None
        if found["by"] != "supervisor":
            return Mark(at=found["at"], supervisor=None)
        identity = ProcessIdentity(pid=found["pid"], ticks=found["ticks"], boot_id=found["boot_id"])
        return Mark(at=found["at"], supervisor=identity)

    def forbid_start(self, name: str, at: float) -> Mark | None:
        """Take it on ourselves, so that no supervisor can; the mark that stands now (an earlier one wins)."""
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            _link_once(self.path(name) / "started", json.dumps({"by": "stop", "at": at}))
        return self.mark(name)

    def exit(self, name: str) -> ExitRecord | None:
        """How it ended; None while it has not, or where it does not exist."""
        found = _load(self.path(name) / "exit.json")
        if found is None:
            return None
        return ExitRecord(**{**found, "signals_sent": tuple(found.get("signals_sent", ()))})

    def settle(self, name: str, ending: ExitRecord) -> ExitRecord | None:
        """Write how it ended, unless that is known; what stands now, or None where the attempt is gone."""
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            _link_once(self.path(name) / "exit.json", json.dumps(asdict(ending)))
        return self.exit(name)

    def ask_to_stop(self, name: str, grace_s: float) -> None:
        """Leave the grace where the supervisor looks for it. A vanished attempt is no error."""
        token = secrets.token_hex(4)  # a file for each who asks: two at once must not hide the shorter grace
        draft = self.path(name) / f".stop.{token}"
        with contextlib.suppress(FileNotFoundError):
            draft.write_text(repr(float(grace_s)))
            os.replace(draft, self.path(name) / f"stop.{token}")

    def retire(self, name: str) -> None:
        """Make it vanish at once, then delete it. A vanished one is no error."""
        retired = self._root / f"{_RETIRED}{secrets.token_hex(6)}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path(name), retired)
            shutil.rmtree(retired)


def _draft_is_live(entry_name: str) -> bool:
    pid, ticks, _ = entry_name.removeprefix(_DRAFT).split("-")
    return ProcessIdentity(pid=int(pid), ticks=int(ticks), boot_id=boot_id()).is_alive()


def _load(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found


def _link_once(path: Path, content: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write_synced(draft, content)
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _write_synced(path: Path, content: str) -> None:
    with open(path, "x", encoding="ascii") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
