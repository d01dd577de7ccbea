"""The values that every part speaks about: task, limits, attempt, verdict.

All are frozen. Times are aware UTC datetimes, durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class VerdictKind(StrEnum):
    """How an attempt ended, or why a task never had one (`SKIPPED`)."""

    SUCCESS = "success"
    FAILED = "failed"
    TIMEOUT = "timeout"
    OOM = "oom"
    WATCHDOG = "watchdog"
    CANCELLED = "cancelled"
    LOST = "lost"
    START_ERROR = "start_error"
    RATE_LIMITED = "rate_limited"
    SKIPPED = "skipped"


class StopReason(StrEnum):
    """Why we stop an attempt; it becomes the attempt's verdict."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    WATCHDOG = "watchdog"


class WatchdogRule(StrEnum):
    """What the watchdog looks at: age, processes and threads, working set, and output and CPU time that stay away."""

    LIFETIME = "lifetime"
    PIDS = "pids"
    MEMORY = "memory"
    NO_PROGRESS = "no_progress"


class Act(StrEnum):
    """What the watchdog does about a threshold that was crossed."""

    WARN = "warn"
    STOP = "stop"


class Schedule(StrEnum):
    """`BARRIER`: waves as written. `ROLLING`: the next task as soon as the budget allows."""

    BARRIER = "barrier"
    ROLLING = "rolling"


class Isolation(StrEnum):
    """`SHARED`: one network for the run. `WAVE`: a network of its own for each wave. `NONE`: no network at all."""

    SHARED = "shared"
    WAVE = "wave"
    NONE = "none"


class AttemptPhase(StrEnum):
    """Where an attempt stands. Each phase but `REMOVED` has exactly one thing that must happen next."""

    INTENDED = "intended"
    """The start is in the journal; the driver has been, or must be, asked to start it."""
    RUNNING = "running"
    STOPPING = "stopping"
    """The stop and its reason are in the journal; the driver has been, or must be, asked to stop it."""
    EXITED = "exited"
    """It ended; its logs must be archived."""
    SETTLED = "settled"
    """Its verdict is committed; what is left of it must be removed."""
    REMOVED = "removed"


ATTEMPT_TRANSITIONS: Mapping[AttemptPhase, frozenset[AttemptPhase]] = {
    AttemptPhase.INTENDED: frozenset({AttemptPhase.RUNNING, AttemptPhase.STOPPING, AttemptPhase.EXITED}),
    AttemptPhase.RUNNING: frozenset({AttemptPhase.STOPPING, AttemptPhase.EXITED}),
    AttemptPhase.STOPPING: frozenset({AttemptPhase.EXITED}),
    AttemptPhase.EXITED: frozenset({AttemptPhase.SETTLED}),
    AttemptPhase.SETTLED: frozenset({AttemptPhase.REMOVED}),
    AttemptPhase.REMOVED: frozenset(),
}


class AttemptId(NamedTuple):
    """One execution of one task of one run. `number` counts from 1."""

    task_id: str
    number: int

    def __str__(self) -> str:
        return f"{self.task_id}#{self.number}"


class Resources(NamedTuple):
    """What an attempt holds of a node while it may be running.

    `memory_bytes` at least 0. `milli_cpus` is thousandths of a core; 0 reserves none.
    """

    memory_bytes: int
    milli_cpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One place where attempts run, with the budget that running attempts may hold there together.

    `capacity.milli_cpus` 0 means that CPU is not budgeted.
    """

    name: str
    capacity: Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Hard limits of one attempt, enforced by the kernel.

    `memory_bytes` also bounds swap (memory plus swap is the same number). `cpus` in cores, None for all.
    `pids` counts processes and threads, None for no limit. `lifetime_s` counts from its start; no kernel knows such a
    limit: the run stops it then. None for no limit.
    """

    memory_bytes: int
    cpus: float | None = None
    pids: int | None = None
    lifetime_s: float | None = None

    def held(self) -> Resources:
        """What the budget sets aside for it."""
        return Resources(self.memory_bytes, round((self.cpus or 0) * 1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One soft limit: at `threshold` and above the watchdog acts."""

    threshold: float
    act: Act = Act.STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchdog:
    """The soft limits of an attempt; None where a rule is off.

    Attributes:
        lifetime_s: seconds since its start; below the hard lifetime.
        pids: processes and threads; up to 1 it is a part of the hard limit.
        memory: working set (usage less inactive file cache) in bytes; up to 1 it is a part of the hard limit.
        no_progress_s: seconds without output and without CPU time.
    """

    lifetime_s: Bound | None = None
    pids: Bound | None = None
    memory: Bound | None = None
    no_progress_s: Bound | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A soft limit, or the lifetime, that an attempt reached: what was read, and where the limit stood (same unit)."""

    rule: WatchdogRule
    reading: float
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A directory or file of the host, seen inside at `target` (absolute). Read-only unless told."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSource:
    """Where a secret's value is read when it is needed; the value itself is never kept.

    `kind` is ``env`` (then `source` is a variable's name) or ``file`` (a path). Inside it is the file
    ``/run/secrets/<name>``.
    """

    name: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """How the engine finds out whether a sidecar is ready; None stands for the default.

    Attributes:
        test: ``("CMD", argv...)``, ``("CMD-SHELL", text)`` or ``("NONE",)``; empty for the image's own.
        interval_s, timeout_s: seconds between two tests, and for one of them.
        retries: failures in a row that make it unhealthy, at least 1.
        start_period_s: seconds from the start in which failures do not count.
    """

    test: tuple[str, ...] = ()
    interval_s: float | None = None
    timeout_s: float | None = None
    retries: int | None = None
    start_period_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of a sidecar, published on the host at `address`. `published` 0: the engine chooses one that is free."""

    target: int
    published: int = 0
    address: str = "127.0.0.1"
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What a sidecar sees at `target` (absolute).

    `source` is an absolute path of the host, a relative one (it starts with a dot), or a name: a directory of its own
    beside the sidecar's data.
    """

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A container beside one task, with the field names of Compose where it has them.

    Attributes:
        name: its host name on the task's own network.
        limits: the hard limits; the budget holds them with the task's.
        command, entrypoint: argv; None for the image's.
        env: variables.
        healthcheck: None for the image's own; where that has none either, a sidecar that runs is ready.
        ports: published on the host.
        expose: ports that others reach by name only.
        volumes, tmpfs: what it sees beside /data; `tmpfs` as the engine takes it: ``/path`` or ``/path:options``.
        user: as the engine takes it, None for the owner of its data directory.
        depends_on: names of sidecars that must be ready first.
        shm_bytes: size of /dev/shm, None for the engine's default.
        cap_add: capabilities, of `SIDECAR_CAPABILITIES`.
        stop_signal: None for the image's. `stop_grace_s`: None for the run's.
    """

    name: str
    image: str
    limits: Limits
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    ports: tuple[Port, ...] = ()
    expose: tuple[int, ...] = ()
    volumes: tuple[Volume, ...] = ()
    tmpfs: tuple[str, ...] = ()
    user: str | None = None
    working_dir: str | None = None
    depends_on: tuple[str, ...] = ()
    shm_bytes: int | None = None
    cap_add: tuple[str, ...] = ()
    stop_signal: str | None = None
    stop_grace_s: float | None = None


SIDECAR_CAPABILITIES = frozenset(
    {"CHOWN", "DAC_OVERRIDE", "FOWNER", "IPC_LOCK", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"}
)
"""What a database may need that begins as root, or that locks its memory; nothing here leads out of a container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarTrouble:
    """A sidecar that did not become ready, or ended while its task ran.

    Attributes:
        name: of the sidecar.
        reason: one sentence for a person.
        exit_code: None where it did not end by itself.
        oom: True where the kernel killed it, or a child of it, for memory.
        last_lines: the end of its output, bounded.
    """

    name: str
    reason: str
    exit_code: int | None = None
    oom: bool | None = None
    last_lines: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The unit of work, made from one batch of a plan.

    Attributes:
        id: as in the plan, any text of 1 to 256 characters; never used raw in a path or a name.
        key: derived from the id, unique in the run, safe in paths and names: ``[a-z0-9][a-z0-9_.-]{0,47}``.
        wave: the number of the wave it belongs to.
        tier: 1 to 4.
        limits: the hard limits.
        command: argv; None runs the image's own entrypoint.
        commands: instead of `command`: several, each an argv, run in turn; the first failure ends the task. Between
            two of them whatever the last one left running is killed.
        watchdog: soft limits of this task; None for those of the run.
        image: None for the run's image.
        prompt: byte-exact (surrogateescape is not used; the plan is UTF-8).
        files: as in the plan.
        env: variables of this task, over those of the run.
        timeout_s: bound of one attempt; None for the run's.
        depends_on: ids of tasks that must succeed first.
        sidecars: containers beside each attempt, names unique.
        extra: fields of the batch that we do not know, kept as they were.
    """

    id: str
    key: str
    wave: int
    tier: int
    limits: Limits
    command: tuple[str, ...] | None = None
    image: str | None = None
    prompt: str = ""
    files: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    depends_on: tuple[str, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    commands: tuple[tuple[str, ...], ...] = ()
    watchdog: Watchdog | None = None

    def held(self) -> Resources:
        """What the budget sets aside for one attempt, its sidecars included."""
        own = self.limits.held()
        if not self.sidecars:
            return own
        beside = [sidecar.limits.held() for sidecar in self.sidecars]
        return Resources(
            own.memory_bytes + sum(each.memory_bytes for each in beside),
            own.milli_cpus + sum(each.milli_cpus for each in beside),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """One wave of a plan: its number and how many of its tasks may run at once (None: as many as fit)."""

    number: int
    parallelism: int | None = None


HANDLE_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """What finds an attempt again after a restart; the journal keeps it.

    Attributes:
        driver: name of the driver that made it.
        id: container id, or the supervisor's slot; the driver's own business. Empty where only the name is known.
        name: the attempt's derived name.
        attempt: which attempt.
        version: of this shape.
    """

    driver: str
    id: str
    name: str
    attempt: AttemptId
    version: int = HANDLE_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verdict rests on. Absent readings are None and are left out of reports.

    Attributes:
        reason: one sentence for a person: what happened and, where there is one, what to do.
        exit_code: what the main process returned; for a signal 128 plus its number.
        signal: name of the signal that ended it, as ``SIGKILL``, where one is known.
        signal_sender: ``task`` (by its own will), ``kernel`` (OOM killer, rlimit), ``wavepool``, ``other``.
        oom_kills: processes that the kernel was seen to kill for memory in this attempt; there may have been more.
        child_oom: True where a child was killed for memory and the main process went on.
        oom_flag: the engine's own OOM mark (Docker's ``State.OOMKilled``).
        oom_scope: ``own``: it was at its own limit. ``host``: it was below that, and what it is in had no memory left.
        memory_peak_bytes: the highest reading of the memory counter; of the moment of the last reading.
        daemon_error: the daemon's or the kernel's own words.
        stop_reason: why we stopped it.
        repeats_work: True where an earlier attempt of this task was lost and may have done the work already.
        sidecars: those that did not become ready, or ended while the task ran.
        rule, reading, threshold: which soft limit (or `lifetime`) the watchdog stopped it for, what was read then, and
            where the limit stood: seconds, processes, or bytes.
        command: of a task with `commands`: the number, from 1, of the one that failed.
    """

    reason: str = ""
    exit_code: int | None = None
    signal: str | None = None
    signal_sender: str | None = None
    oom_kills: int | None = None
    child_oom: bool | None = None
    oom_flag: bool | None = None
    memory_peak_bytes: int | None = None
    daemon_error: str | None = None
    stop_reason: StopReason | None = None
    repeats_work: bool | None = None
    sidecars: tuple[SidecarTrouble, ...] = ()
    rule: WatchdogRule | None = None
    reading: float | None = None
    threshold: float | None = None
    command: int | None = None
    oom_scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended as its driver saw it, before the reason of a stop of ours is taken into account.

    Attributes:
        kind: SUCCESS, FAILED, OOM, LOST or START_ERROR.
        transient: for START_ERROR: the same start may succeed later.
    """

    kind: VerdictKind
    evidence: Evidence
    started_at: datetime | None = None
    finished_at: datetime | None = None
    transient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """Where an attempt's output was archived.

    `path` is relative to the run's directory; None where there was nothing to archive. `size_bytes` is what the file
    holds. `truncated` is True where a cap or a gap cut something; `problem` says what. `failed_command` is the number
    of the command that its guard named at the end as the one that failed.
    """

    path: str | None = None
    size_bytes: int = 0
    truncated: bool = False
    problem: str | None = None
    failed_command: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The final word on an attempt.

    `exit_code` is what reports show: 124 for a timeout, else the evidence's; None where nothing ran.
    """

    kind: VerdictKind
    exit_code: int | None
    evidence: Evidence

    @property
    def succeeded(self) -> bool:
        return self.kind is VerdictKind.SUCCESS


TIMEOUT_EXIT_CODE = 124
"""What the seeds and timeout(1) report for a timeout."""


DEFAULT_RETRY_ON = (
    VerdictKind.FAILED,
    VerdictKind.TIMEOUT,
    VerdictKind.OOM,
    VerdictKind.LOST,
    VerdictKind.START_ERROR,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a run decides by.

    Attributes:
        schedule: barrier or rolling.
        nodes: the budget, one entry for each node.
        isolation: whether each wave needs a network of its own.
        keep_going: go on after a failed wave (barrier) or a failed task (rolling).
        max_attempts: attempts of one task altogether, at least 1.
        retry_on: verdicts that are tried again while attempts are left.
        start_retries: further attempts after start errors of the infrastructure that may pass, beside `max_attempts`.
        parallel: how many starts may be under way at once, at least 1.
        wave_timeout_s: bound of one round of a wave (barrier).
        task_timeout_s: bound of one attempt where its task has none of its own (rolling).
        grace_s: between SIGTERM and SIGKILL.
        watchdog: soft limits of every task that has none of its own.
        keep_failed: keep the file system of each attempt that started and did not succeed.
    """

    schedule: Schedule = Schedule.BARRIER
    nodes: tuple[Node, ...]
    isolation: Isolation = Isolation.SHARED
    keep_going: bool = False
    max_attempts: int = 1
    retry_on: tuple[VerdictKind, ...] = DEFAULT_RETRY_ON
    start_retries: int = 2
    parallel: int = 5
    wave_timeout_s: float | None = None
    task_timeout_s: float | None = None
    grace_s: float = 10.0
    watchdog: Watchdog = Watchdog()
    keep_failed: bool = False


LOG_LIMIT_BYTES = 32 * 1024 * 1024
"""How much of an attempt's output is kept unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every attempt of a run is given. Secrets are named by their source, never held.

    `workspace` is an absolute host directory. `network` is the shared network's name, used where the isolation says
    so. `user` is ``uid:gid`` or None for the owner of the workspace. `pull` is missing, always or never.
    `log_limit_bytes` is how much of an attempt's output is kept.
    Networks of tasks with sidecars take their addresses from `subnet_pool`, None for the default.
    """

    image: str
    workspace: str
    network: str
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    secrets: tuple[SecretSource, ...] = ()
    user: str | None = None
    pull: str = "missing"
    name_prefix: str = "cfn-"
    log_limit_bytes: int = LOG_LIMIT_BYTES
    subnet_pool: str | None = None
