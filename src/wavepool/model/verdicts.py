"""How attempts end: the kinds of verdicts, what a driver saw, what a verdict rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wavepool.model.watchdog import WatchdogRule


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarTrouble:
    """A sidecar that did not become ready, ended while its task ran, or had to refuse what the task asked of it.

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
            where the limit stood: seconds, processes, bytes, US dollars, or tokens.
        whole_run: True where that reading is of all agents of the run together.
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
    whole_run: bool | None = None


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
