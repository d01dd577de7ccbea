"""What a run decides by, and what it gives to every attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from wavepool.model.limits import Resources
from wavepool.model.pools import PARKED_BYTES
from wavepool.model.tasks import Mount, SecretSource
from wavepool.model.verdicts import DEFAULT_RETRY_ON, VerdictKind
from wavepool.model.watchdog import Watchdog
from wavepool.model.workspaces import WorkspaceKind


class Schedule(StrEnum):
    """`BARRIER`: waves as written. `ROLLING`: the next task as soon as the budget allows."""

    BARRIER = "barrier"
    ROLLING = "rolling"


class Isolation(StrEnum):
    """`SHARED`: one network for the run. `WAVE`: a network of its own for each wave. `NONE`: no network at all."""

    SHARED = "shared"
    WAVE = "wave"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One place where attempts run, with the budget that running attempts may hold there together.

    `capacity.milli_cpus` 0 means that CPU is not budgeted.
    """

    name: str
    capacity: Resources


AUTO_STARTS = 32
"""The most starts under way at once where the user leaves that to the pressure on the host."""


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
        parallel: how many starts may be under way at once, at least 1; with `ramp` the most of them.
        ramp: how many starts may be under way follows the pressure on this host.
        max_cost_usd, max_tokens: of all agents of the run together; above it everything is stopped. None for no bound.
        rate_limit_retries: further attempts after an account had no more to give, beside `max_attempts`.
        wave_timeout_s: bound of one round of a wave (barrier).
        task_timeout_s: bound of one attempt where its task has none of its own (rolling).
        grace_s: between SIGTERM and SIGKILL.
        watchdog: soft limits of every task that has none of its own.
        keep_failed: keep the file system of each attempt that started and did not succeed.
        keep_all: with `keep_failed` that of those that succeeded too.
        warm: how many containers may be parked ahead of their tasks at once; 0 for none.
        parked_bytes: what each of these counts in the budget until it is claimed.
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
    watchdog: Watchdog = field(default_factory=Watchdog)
    keep_failed: bool = False
    keep_all: bool = False
    warm: int = 0
    parked_bytes: int = PARKED_BYTES
    ramp: bool = False
    max_cost_usd: float | None = None
    max_tokens: int | None = None
    rate_limit_retries: int = 3

    def for_attempts(self) -> tuple[Node, ...]:
        """The nodes with what attempts may hold there: the first one keeps room for all that may be parked."""
        if not self.warm:
            return self.nodes
        first, *rest = self.nodes
        room = first.capacity._replace(memory_bytes=first.capacity.memory_bytes - self.warm * self.parked_bytes)
        return (replace(first, capacity=room), *rest)


LOG_LIMIT_BYTES = 32 * 1024 * 1024
"""How much of an attempt's output is kept unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every attempt of a run is given. Secrets are named by their source, never held.

    `workspace` is an absolute host directory. `network` is the shared network's name, used where the isolation says
    so. `user` is ``uid:gid`` or None for the owner of the workspace. `pull` is missing, always or never.
    `log_limit_bytes` is how much of an attempt's output is kept.
    `workspace_kind` other than shared: `workspace` lies in a git repository, and each attempt works in a copy of that.
    `egress`: hosts that agents may reach beside those of their adapter; None where agents are not sealed off at all.
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
    workspace_kind: WorkspaceKind = WorkspaceKind.SHARED
    egress: tuple[str, ...] | None = None
