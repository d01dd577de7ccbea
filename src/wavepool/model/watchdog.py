"""Soft limits: what the watchdog looks at, where it acts, and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WatchdogRule(StrEnum):
    """What the watchdog looks at: age, processes and threads, working set, output and CPU time that stay away.

    And what agents use up: money (`COST`, in US dollars) and tokens; these have their bounds in `AgentOrder` and
    `Rules`, not in a `Watchdog`, and never only warn.
    """

    LIFETIME = "lifetime"
    PIDS = "pids"
    MEMORY = "memory"
    NO_PROGRESS = "no_progress"
    COST = "cost"
    TOKENS = "tokens"


class Act(StrEnum):
    """What the watchdog does about a threshold that was crossed."""

    WARN = "warn"
    STOP = "stop"


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
    """A soft limit, or the lifetime, that an attempt reached: what was read, and where the limit stood (same unit).

    `whole_run`: the reading is of all agents of the run together, and so is the limit.
    """

    rule: WatchdogRule
    reading: float
    threshold: float
    whole_run: bool = False
