"""What was found, and what is to be done about each thing: the words of `wavepool recover`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wavepool.drivers.holdings import HeldContainer, HeldNetwork, HeldSecrets
from wavepool.engine.recover.runs import RunLook


class ThingKind(StrEnum):
    """What can be left behind. A process is the attempt of the process driver, with its record and control group."""

    RUN = "run"
    CONTAINER = "container"
    PROCESS = "process"
    NETWORK = "network"
    SECRETS = "secrets"
    SLOT = "slot"
    SOCKET = "socket"


class Action(StrEnum):
    """What can be done about it."""

    RESUME_RUN = "resume_run"
    """Adopt: go on with the run."""
    STOP = "stop"
    ARCHIVE_LOG = "archive_log"
    """Into the run's logs, before it is removed."""
    REMOVE = "remove"
    CLOSE_RUN = "close_run"
    """Write into the journal what became of the run's attempts, and that it ended as interrupted."""


class Fate(StrEnum):
    """What becomes of a run. `LEAVE` all of it, `ADOPT` it, `REAP` it with its journal, `SWEEP` its things alone."""

    LEAVE = "leave"
    ADOPT = "adopt"
    REAP = "reap"
    SWEEP = "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing. Without acts it is left alone, and `why` says why; else `why` is the cause of the acts.

    Attributes:
        name: of the thing; a slot's or a socket's file name, a run's id.
        id: an engine's own id; empty where there is none.
        run_id: whose it is; empty for what belongs to no run.
        what: for people: attempt, sidecar, exec, stack, shared network, ...
        condition: running, exited, created, live, unfinished, ...
        since: when it last changed; None where unknown.
        held: the thing as its engine told it.
    """

    kind: ThingKind
    name: str
    id: str = ""
    run_id: str = ""
    what: str = ""
    condition: str = ""
    since: datetime | None = None
    why: str = ""
    acts: tuple[Action, ...] = ()
    held: HeldContainer | HeldNetwork | HeldSecrets | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFindings:
    """A run and all that is there of it, in the order in which it is dealt with."""

    run: RunLook
    fate: Fate
    why: str
    findings: tuple[Finding, ...] = ()

    def itself(self) -> Finding:
        """The finding that is the run; only where it is there."""
        return next(each for each in self.findings if each.kind is ThingKind.RUN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The plan: by run, then what belongs to no run.

    Attributes:
        away: driver -> why its engine could not be asked.
    """

    at: datetime
    runs: tuple[RunFindings, ...] = ()
    loose: tuple[Finding, ...] = ()
    away: tuple[tuple[str, str], ...] = ()

    def findings(self) -> list[Finding]:
        """All of them, in the order in which they are dealt with."""
        return [*(each for run in self.runs for each in run.findings), *self.loose]
