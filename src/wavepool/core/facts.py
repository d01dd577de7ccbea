"""Facts: past tense, versioned, never changed. The journal holds nothing else.

`VERSION` rises when a field's meaning changes; a new optional field does not raise it. Times named `at` are aware UTC;
numbers named `..._s` that are deadlines are seconds on the boot clock (CLOCK_BOOTTIME).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from wavepool.core.fixes.facts import FixFact
from wavepool.model import (
    AgentReport,
    AttemptId,
    Changes,
    Ending,
    Finding,
    Handle,
    LogRecord,
    PressureLevel,
    Resources,
    Rules,
    StopReason,
    Surroundings,
    Task,
    Verdict,
    Wave,
)

VERSION = 1


class Outcome(StrEnum):
    """How a run ended."""

    SUCCESS = "success"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOpened:
    """A run began. Always the first fact."""

    run_id: str
    owner: str
    rules: Rules
    surroundings: Surroundings
    driver: str
    execution_mode: str
    plan_digest: str
    boot_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksAdded:
    """Waves and tasks in the order of the plan. Long plans come in several of these, in one commit.

    `places`: where each of `tasks` stands in the order in which they start, counted over the whole plan; empty where
    that is the order of the plan.
    """

    waves: tuple[Wave, ...]
    tasks: tuple[Task, ...]
    places: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed:
    """Another process took the run up. `shift_s` moves the deadlines where the boot clock began anew."""

    boot_id: str
    shift_s: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveOpened:
    """Tasks of this wave may start as soon as the wave is prepared."""

    wave: int
    deadline_s: float | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WavePrepared:
    """What the wave needs (a network of its own) is there."""

    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveTimedOut:
    """The wave reached its bound. `deadline_s` is that of the next round, None if there is none."""

    wave: int
    deadline_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveSettled:
    """Every task of the wave is final, and nothing of its attempts is left."""

    wave: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StartIntended:
    """An attempt holds `held` of `node` from now on, and is about to be started. `at_s` is `at` on the boot clock."""

    attempt: AttemptId
    node: int
    held: Resources
    at: datetime
    at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """It runs, or has run. `deadline_s` is where it will be stopped, None for no bound of its own.

    `born_s` is its start on the boot clock: lifetimes count from it. `warm`: its container had been parked for it.
    """

    attempt: AttemptId
    handle: Handle
    started_at: datetime | None
    deadline_s: float | None
    born_s: float | None = None
    warm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogWarned:
    """It crossed a soft limit that only warns. Told once; again only after the reading had gone well below it.

    Of an attempt that has ended: its agent told at its end that it, or the run, is above a bound of cost or tokens.
    """

    attempt: AttemptId
    finding: Finding
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StopIntended:
    """We are about to stop it. `handle` None: its start is still under way, the stop follows it.

    `finding` says what the watchdog found, where it is the reason.
    """

    attempt: AttemptId
    reason: StopReason
    grace_s: float
    handle: Handle | None
    finding: Finding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptExited:
    """It ended, or never started; what it held is free. `archive` True: it has logs to be read."""

    attempt: AttemptId
    ending: Ending
    archive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSettled:
    """Its verdict, for ever. `agent`: what its agent said; `changes`: what came back out of its workspace."""

    attempt: AttemptId
    verdict: Verdict
    log: LogRecord
    started_at: datetime | None
    finished_at: datetime | None
    agent: AgentReport | None = None
    changes: Changes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRemoved:
    """Nothing of it is left, or (`problem`) what could not be removed.

    `kept` names the image that its file system was kept as; `not_kept` says why there is none where one was wanted.
    """

    attempt: AttemptId
    problem: str | None = None
    kept: str | None = None
    not_kept: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequeued:
    """Another attempt will follow, not before `not_before_s`."""

    task_id: str
    not_before_s: float
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettled:
    """No attempt will follow: the last one's verdict is the task's."""

    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSkipped:
    """The task will have no attempt in this run, and why."""

    task_id: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPaused:
    """Nothing new starts on `account` before `until_s` (boot clock; `until` is for people): it has no more to give.

    Told again with the same `until` where the boot clock began anew, or stood still meanwhile.
    """

    account: str
    until_s: float
    until: datetime
    because: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StartsPaced:
    """From now on `allowed` starts may be under way at once, by the pressure on the host; see `core.ramp`.

    `because` is for people; empty where it is easy.
    """

    allowed: int
    doubles_to: int
    level: PressureLevel
    because: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaused:
    """Somebody wants nothing new to start for now; what runs goes on. `at_s` is `at` on the boot clock.

    The bounds of open waves stand still until `RunUnpaused`; those of attempts do not.
    """

    at_s: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUnpaused:
    """Starts go on, as somebody asked for, or as another process took the run up."""

    at_s: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksCancelled:
    """Somebody wants these tasks to end, and no further attempt of them; the rest of the run goes on."""

    tasks: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStopped:
    """Nothing new starts. Tasks that were never reached become `skipped` when the run ends."""

    cause: str
    infrastructure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInterrupted:
    """The user wants an end: nothing new starts; with `force` what runs is stopped. Unstarted tasks stay pending."""

    force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReopened:
    """Somebody wants `tasks` tried again, whatever their verdicts; their attempts count anew, their numbers go on.

    `waiting` are tasks that were skipped, and are pending again because of that. `live`: the process that works on the
    run goes on with it; else another one takes it up.
    """

    tasks: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    live: bool = False
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The run is over. Always the last fact, unless the run is resumed or reopened."""

    outcome: Outcome
    at: datetime


Fact = (
    RunOpened
    | TasksAdded
    | RunResumed
    | WaveOpened
    | WavePrepared
    | WaveTimedOut
    | WaveSettled
    | StartIntended
    | AttemptStarted
    | WatchdogWarned
    | StopIntended
    | AttemptExited
    | AttemptSettled
    | AttemptRemoved
    | TaskRequeued
    | TaskSettled
    | TaskSkipped
    | AccountPaused
    | StartsPaced
    | RunPaused
    | RunUnpaused
    | TasksCancelled
    | RunStopped
    | RunInterrupted
    | RunReopened
    | RunFinished
    | FixFact
)
"""All but the last are of a run; a journal holds those of one run, or of one fix."""


class Stamped(NamedTuple):
    """A fact and when it was decided: `boot_s` is finite seconds on the boot clock, `utc` is aware UTC, for people."""

    boot_s: float
    utc: datetime
    fact: Fact
