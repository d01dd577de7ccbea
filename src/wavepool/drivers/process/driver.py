"""The process driver: each attempt is a process of this host under a detached supervisor."""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import psutil
from anyio import to_thread
from anyio.streams.memory import MemoryObjectSendStream

from wavepool.drivers.base import (
    AttemptSpec,
    Driver,
    DriverFacts,
    Handle,
    LogChunk,
    Needs,
    Observation,
    Prepared,
    PullProgress,
    Removed,
    Scope,
    Synced,
    Usage,
)
from wavepool.drivers.process.attempts import Attempts
from wavepool.drivers.process.cgroups import Cgroups, find_cgroups, own_v2_path
from wavepool.drivers.process.launch import LOG_TAIL_BYTES
from wavepool.drivers.process.logs import FrameReader, send_frames
from wavepool.drivers.process.records import DRIVER_NAME, Record, Records
from wavepool.drivers.process.slot import SecretStore
from wavepool.drivers.process.starting import Starter
from wavepool.drivers.process.streams import filled_by
from wavepool.drivers.process.watch import Changes, Watcher, ended
from wavepool.errors import DriverUnavailable, NoSuchAttempt, Unknown
from wavepool.model import Node, Resources

CGROUP_ROOT = Path("/sys/fs/cgroup")
LAUNCH_DEADLINE_S = 30.0
STOP_DEADLINE_S = 15.0
"""How long after its grace a supervisor may take to report the end; it gives up on a stuck process after 10 s."""
REMOVALS_AT_ONCE = 8
STREAM_BUFFER = 64
LOG_BUFFER = 4
"""Chunks of at most 64 KiB."""


class ProcessDriver(Driver):
    """Attempts as supervised processes.

    What containers give and this does not: `image` and `network` are ignored (every task sees the host's network),
    mounts are refused unless source and target agree, and a task can reach whatever its user can. `user` is heeded
    where we are root; otherwise, and by default, tasks run as we do. Limits are enforced by control groups where those
    can be made; else each single process is bounded by RLIMIT_DATA (programs such as Node reserve far more address
    space than they use, so RLIMIT_AS would end them), and CPU and pids are not bounded: `probe` says which.

    Attributes:
        base_dir: a directory of ours; the index of attempts is kept in it, so that a restarted process finds them.
        cgroup_root: where control groups are mounted; None for the usual place. One without any means: no groups.
        secrets_dir: where secrets are kept; None finds a tmpfs.
        environment: of which tasks see a few variables (`slot.INHERITED`); None for our own.
        log_cap_bytes: how much output is kept of each attempt from its start; None for what its spec says.
        log_tail_bytes: how much beyond that from its end.
    """

    name = DRIVER_NAME

    def __init__(
        self,
        *,
        base_dir: Path,
        cgroup_root: Path | None = None,
        secrets_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        log_cap_bytes: int | None = None,
        log_tail_bytes: int = LOG_TAIL_BYTES,
    ) -> None:
        self._base_dir = base_dir.absolute()
        self._cgroup_root = cgroup_root or CGROUP_ROOT
        self._environment = dict(os.environ if environment is None else environment)
        self._log_bounds = (log_cap_bytes, log_tail_bytes)
        self._records = Records(self._base_dir)
        self._secrets = SecretStore(secrets_dir)
        self._changes = Changes()
        self._launching = anyio.CapacityLimiter(2 * (os.cpu_count() or 1))
        self._attempts = Attempts(records=self._records, cgroups=None, secrets=self._secrets)
        self._starter: Starter | None = None
        self._cgroups: Cgroups | None = None

    async def __aenter__(self) -> Self:
        await to_thread.run_sync(self._open)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._prune)

    def _open(self) -> None:
        try:
            self._records.open()
        except OSError as error:
            raise DriverUnavailable(
                f"{self._base_dir} cannot be used: {error}", advice="Choose another --state-dir, or mend its mode."
            ) from error
        self._cgroups = find_cgroups(self._cgroup_root, own_v2_path())
        self._attempts = Attempts(records=self._records, cgroups=self._cgroups, secrets=self._secrets)
        self._starter = Starter(
            records=self._records,
            cgroups=self._cgroups,
            secrets=self._secrets,
            environment=self._environment,
            log_cap_bytes=self._log_bounds[0],
            log_tail_bytes=self._log_bounds[1],
            launch_deadline_s=LAUNCH_DEADLINE_S,
        )

    def _prune(self) -> None:
        """Leave no empty directories outside our own."""
        self._secrets.prune()
        if self._cgroups is not None:
            self._cgroups.prune()

    async def probe(self) -> DriverFacts:
        node = Node(
            name="local",
            capacity=Resources(psutil.virtual_memory().total, 1000 * len(os.sched_getaffinity(0))),
        )
        groups = "none" if self._cgroups is None else self._cgroups.version
        return DriverFacts(
            driver=self.name,
            version=f"{platform.system()} {platform.release()}",
            execution_mode="subprocess",
            nodes=(node,),
            enforces_memory=self._cgroups is not None,
            details={
                "cgroup_version": groups,
                "memory_limit": "RLIMIT_DATA of each process" if self._cgroups is None else "control group",
                "secrets_dir": str(self._secrets.root or "none"),
                "base_dir": str(self._base_dir),
            },
        )

    async def prepare(self, needs: Needs, progress: PullProgress | None = None) -> Prepared:
        """There are no images and no networks here: everything is prepared."""
        return Prepared()

    async def start(self, spec: AttemptSpec) -> Handle:
        if self._starter is None:
            raise DriverUnavailable("the process driver is not open")
        with anyio.CancelScope(shield=True):  # bounded by the launch deadline
            try:
                handle = await to_thread.run_sync(self._starter.start, spec, limiter=self._launching)
            finally:
                self._changes.tell(spec.name)
        return handle

    def watch(self, scope: Scope) -> AbstractAsyncContextManager[AsyncIterator[Observation | Synced]]:
        watcher = Watcher(scope=scope, records=self._records, attempts=self._attempts, changes=self._changes)
        return filled_by(watcher.run, buffer=STREAM_BUFFER)

    @asynccontextmanager
    async def logs(
        self, handle: Handle, since: datetime | None = None, *, follow: bool = True
    ) -> AsyncIterator[AsyncIterator[LogChunk]]:
        """As the contract says. A chunk with `gap` begins the last part of an output that was beyond the cap."""
        record = self._record_of(handle)
        if record is None:
            raise _removed(handle)
        reader = FrameReader(self._records.path(record.name) / "output.log", since)

        def has_ended() -> bool:
            if not follow:
                return True
            return self._records.read(record.name) is None or self._attempts.ended(record) is not None

        async def fill(send: MemoryObjectSendStream[LogChunk]) -> None:
            await send_frames(send, reader=reader, has_ended=has_ended)
            if not reader.found() and self._records.read(record.name) is None:
                raise _removed(handle)

        with closing(reader):
            async with filled_by(fill, buffer=LOG_BUFFER) as chunks:
                yield chunks

    async def usage(self, handles: Collection[Handle]) -> dict[Handle, Usage]:
        ours = {handle.id: handle for handle in handles if handle.driver == self.name}
        readings = await to_thread.run_sync(self._attempts.usage, ours, abandon_on_cancel=True)  # it only reads
        return {ours[name]: reading for name, reading in readings.items()}

    async def stop(self, handle: Handle, grace_s: float) -> None:
        record = self._record_of(handle)
        if record is None:
            return
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._begin_stop, record, grace_s)
        with anyio.move_on_after(grace_s + STOP_DEADLINE_S):
            await self._until_ended(record)
            return
        raise Unknown(f"{record.name} has not ended {STOP_DEADLINE_S:.0f} s after its grace")

    async def remove(self, target: Scope | Handle) -> Removed:
        found = await to_thread.run_sync(self._targets, target)
        removed: list[str] = []
        errors: list[str] = []
        limiter = anyio.CapacityLimiter(REMOVALS_AT_ONCE)

        async def remove_one(record: Record) -> None:
            async with limiter:
                with anyio.CancelScope(shield=True):  # bounded: two stops and the patience of `clear`
                    problem = await self._remove(record)
            self._changes.tell(record.name)
            if problem is None:
                removed.append(record.name)
            else:
                errors.append(problem)

        async with anyio.create_task_group() as group:
            for record in found:
                group.start_soon(remove_one, record)
        await to_thread.run_sync(self._prune)
        return Removed(containers=tuple(sorted(removed)), errors=tuple(sorted(errors)))

    async def _remove(self, record: Record) -> str | None:
        await to_thread.run_sync(self._begin_stop, record, 0.0)
        for last_resort in (False, True):
            with anyio.move_on_after(STOP_DEADLINE_S):
                await self._until_ended(record)
                return await to_thread.run_sync(self._attempts.clear, record)
            supervisor = self._attempts.supervisor(record.name)
            if supervisor is not None and not last_resort:
                supervisor.send(signal.SIGKILL)
        return f"{record.name}: its supervisor does not end."

    def _begin_stop(self, record: Record, grace_s: float) -> None:
        """Ask its supervisor to end it; one that nobody has taken on never will be."""
        mark = self._records.forbid_start(record.name, time.time())
        if mark is None or mark.supervisor is None or self._records.exit(record.name) is not None:
            return
        self._records.ask_to_stop(record.name, grace_s)
        mark.supervisor.send(signal.SIGTERM)

    async def _until_ended(self, record: Record) -> None:
        """Return when its end is on record."""
        supervisor = self._attempts.supervisor(record.name)
        if supervisor is not None and await to_thread.run_sync(self._attempts.ended, record) is None:
            await ended(supervisor)
        await to_thread.run_sync(self._attempts.ended, record)
        self._changes.tell(record.name)

    def _targets(self, target: Scope | Handle) -> list[Record]:
        if isinstance(target, Scope):
            return list(self._records.within(target))
        record = self._record_of(target)
        return [] if record is None else [record]

    def _record_of(self, handle: Handle) -> Record | None:
        return self._records.read(handle.id or handle.name) if handle.driver == self.name else None


def _removed(handle: Handle) -> NoSuchAttempt:
    return NoSuchAttempt(f"there is no output of {handle.name}: the attempt has been removed")
