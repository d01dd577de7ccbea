"""What happened outside, as the engine tells the core. Events are not kept; the facts decided from them are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from wavepool.core.facts import RunOpened, TasksAdded
from wavepool.model import (
    Act,
    AgentEvent,
    AgentReport,
    AttemptId,
    Changes,
    Ending,
    Finding,
    Handle,
    LogRecord,
    Pressure,
    SidecarTrouble,
)


class Now(NamedTuple):
    """One reading of both clocks.

    `boot_s` is CLOCK_BOOTTIME (deadlines are kept on it); `utc` is for people.
    """

    boot_s: float
    utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A new run with its tasks."""

    run: RunOpened
    tasks: tuple[TasksAdded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The state was replayed; another process goes on from here."""

    boot_id: str
    shift_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened:
    """Somebody wants these tasks tried again. Each is final, and did not succeed. `live` as in `RunReopened`."""

    tasks: tuple[str, ...]
    live: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Look whether something can begin or end now. Fed by the engine after every batch of events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveReady:
    """What the wave needs was prepared; `problem` says why it was not."""

    wave: int
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The driver says that the attempt runs (from its start call, or from the watch).

    `warm`: its container was started ahead, and had waited for it.
    """

    attempt: AttemptId
    handle: Handle
    started_at: datetime | None
    warm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The driver says that the attempt ended, was lost, or did not start. `handle` None where none was ever known.

    `warm` as in `Running`, in case that was never told.
    """

    attempt: AttemptId
    handle: Handle | None
    ending: Ending
    warm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """The watchdog read that a running attempt has crossed a soft limit, and what its rule says to do."""

    attempt: AttemptId
    finding: Finding
    act: Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoke:
    """A running agent said something that decides: what it has used up to now, or that its account has no more."""

    attempt: AttemptId
    said: AgentEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """The pressure on this host was read; None where it cannot be read any more."""

    reading: Pressure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllTold:
    """The watch has told all that exists; live attempts that are not in `present` are gone."""

    present: frozenset[AttemptId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """The logs of an ended attempt were read, as far as they could be, and its changes were brought back.

    `sidecars`: those that had ended before it. `agent`: what its agent said in all.
    """

    attempt: AttemptId
    log: LogRecord
    sidecars: tuple[SidecarTrouble, ...] = ()
    agent: AgentReport | None = None
    changes: Changes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """What was left of a settled attempt was removed; `problem` says what was not. The rest as in `AttemptRemoved`."""

    attempt: AttemptId
    problem: str | None = None
    kept: str | None = None
    not_kept: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed:
    """The clock reached the earliest deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """Ctrl-C, SIGTERM, or a cancel: `force` on the second."""

    force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """Somebody wants nothing new to start for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaused:
    """Somebody wants starts to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwanted:
    """Somebody wants these tasks of the run to end, whatever became of them so far."""

    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFailed:
    """The driver is gone for good, or an action cannot be done: the run must end, and says why."""

    cause: str


Event = (
    Opened
    | Resumed
    | Reopened
    | Advance
    | WaveReady
    | Running
    | Ended
    | Crossed
    | Spoke
    | Pressed
    | AllTold
    | Archived
    | Cleared
    | DeadlinePassed
    | Interrupted
    | Paused
    | Unpaused
    | Unwanted
    | DriverFailed
)
