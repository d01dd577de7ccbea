"""Start an attempt, at most once ever.

The record appears with one rename, the supervisor takes it on with one link: whoever crashes in between, and however
often the same start is asked for, one supervisor at most runs the task.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping
from dataclasses import dataclass

from wavepool.drivers.base import AttemptSpec, Handle
from wavepool.drivers.boot import boot_id
from wavepool.drivers.process.cgroups import Cgroups, Membership
from wavepool.drivers.process.launch import Launched, Order, launch
from wavepool.drivers.process.records import ExitRecord, Record, Records
from wavepool.drivers.process.slot import SecretStore, User, environment_of, switched_user, write_prompt
from wavepool.drivers.start_mark import is_marked, make_mark, vanished
from wavepool.errors import InfrastructureError, NotStarted

PASSING = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EBUSY})
"""What may be different the next time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Starts attempts; `start` blocks for some tens of milliseconds.

    `environment` is the orchestrator's own, of which a task sees a few variables. `launch_deadline_s` bounds the wait
    for a supervisor's word.
    """

    records: Records
    cgroups: Cgroups | None
    secrets: SecretStore
    environment: Mapping[str, str]
    log_cap_bytes: int | None
    log_tail_bytes: int
    launch_deadline_s: float

    def start(self, spec: AttemptSpec) -> Handle:
        """As `Driver.start`.

        Raises:
            NotStarted: it never will start.
            MayHaveRun: it was taken on before, and its record is gone.
            Unknown: its supervisor gave no word.
        """
        self._check(spec)
        if is_marked(spec.slot) and self.records.read(spec.name) is None:
            raise vanished(spec)
        record = self._record(spec)
        untouched = self.records.mark(spec.name) is None and self.records.exit(spec.name) is None
        if untouched and record.boot_id == boot_id():
            self._launch(spec)
        return self._adopted(record)

    def _check(self, spec: AttemptSpec) -> None:
        commands = _commands(spec)
        if not commands:
            raise NotStarted(
                f"task {spec.attempt.task_id!r} has no command, and without containers no image supplies one",
                advice="Give the batch a command, or run it on Docker.",
            )
        texts = (*(word for command in commands for word in command), *spec.env, *spec.env.values())
        if any("\0" in text for text in texts) or any("=" in name or not name for name in spec.env):
            raise NotStarted("a word of the command or a variable holds NUL, or a variable's name is empty or has '='")
        moved = [mount for mount in spec.mounts if mount.source != mount.target]
        if moved:
            raise NotStarted(
                f"{moved[0].source} cannot be mounted at {moved[0].target} without containers",
                advice="Run it on Docker, or leave the mount away and use the path as it is.",
            )
        self.secrets.check(spec.secrets)
        switched_user(spec)
        try:
            self.records.path(spec.name)
        except InfrastructureError as error:
            raise NotStarted(error.message) from None

    def _record(self, spec: AttemptSpec) -> Record:
        """The record that stands under this name, ours or an earlier one that agrees."""
        groups = () if self.cgroups is None else tuple(map(str, self.cgroups.directories(spec.name)))
        record = Record.of(spec, secrets_dir=self.secrets.place(spec.name), cgroups=groups)
        try:
            if self.records.read(spec.name) is None and self.records.create(record):
                return record
        except OSError as error:
            raise NotStarted(f"no record of it can be kept: {error}", transient=error.errno in PASSING) from error
        found = self.records.read(spec.name)
        if found is None:
            raise NotStarted(f"{spec.name} was removed while it was being started", transient=True)
        if not found.agrees_with(spec):
            raise NotStarted(
                f"{spec.name} exists, and is another attempt or was asked for differently",
                advice="Remove the earlier one first.",
            )
        return found

    def _launch(self, spec: AttemptSpec) -> None:
        try:
            order = self._order(spec)
            make_mark(spec.slot)
            word = launch(self.records.path(spec.name), order, self.launch_deadline_s)
        except (OSError, NotStarted) as error:
            self._give_up(spec.name, error)
            return
        if word is Launched.GONE:
            self.secrets.remove(spec.name)
            raise NotStarted(f"{spec.name} was removed while it was being started", transient=True)

    def _order(self, spec: AttemptSpec) -> Order:
        user = switched_user(spec)
        membership = self._membership(spec)
        self.secrets.put(spec.name, spec.secrets, user)
        env = environment_of(
            spec,
            inherited=self.environment,
            prompt_file=write_prompt(spec, user),
            secrets_dir=self.secrets.place(spec.name),
            user=user,
        )
        return Order(
            commands=_commands(spec),
            env=env,
            cwd=spec.directory or str(spec.workspace.absolute()),
            membership=membership,
            rlimit_data=spec.limits.memory_bytes if membership is None else None,
            user=None if user is None else _ids(user),
            log_cap_bytes=self.log_cap_bytes or spec.log_limit_bytes,
            log_tail_bytes=self.log_tail_bytes,
        )

    def _membership(self, spec: AttemptSpec) -> Membership | None:
        return None if self.cgroups is None else self.cgroups.create(spec.name, spec.limits)

    def _give_up(self, name: str, error: OSError | NotStarted) -> None:
        """See that it never starts, unless somebody else has started it meanwhile.

        Raises:
            NotStarted: nobody has.
        """
        now = time.time()
        mark = self.records.forbid_start(name, now)
        if mark is not None and mark.supervisor is not None:
            return
        self.records.settle(name, ExitRecord(setup_error=str(error), started_at=now, finished_at=now))
        if isinstance(error, NotStarted):
            raise error
        raise NotStarted(f"{name} could not be started: {error}", transient=error.errno in PASSING) from error

    def _adopted(self, record: Record) -> Handle:
        ended = self.records.exit(record.name)
        if ended is not None and ended.setup_error is not None:
            raise NotStarted(f"{record.name} could not be started: {ended.setup_error}")
        return record.handle


def _commands(spec: AttemptSpec) -> tuple[tuple[str, ...], ...]:
    return spec.commands or ((spec.command,) if spec.command else ())


def _ids(user: User) -> tuple[int, int]:
    return user.uid, user.gid
