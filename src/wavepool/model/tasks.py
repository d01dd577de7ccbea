"""The unit of work, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wavepool.model.agents import AgentOrder
from wavepool.model.limits import Limits, Resources
from wavepool.model.sidecars import Sidecar
from wavepool.model.watchdog import Watchdog


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
        agent: instead of `command`: the agent that works on the prompt.
        kind: tasks with the same text are alike: what is learned of one is expected of the others; empty for none.
        image: None for the run's image.
        prompt: byte-exact (surrogateescape is not used; the plan is UTF-8).
        files: as in the plan.
        env: variables of this task, over those of the run.
        timeout_s: bound of one attempt; None for the run's.
        depends_on: ids of tasks that must succeed first.
        sidecars: containers beside each attempt, names unique.
        workspace: directory of the host that it works in, absolute; None for the run's.
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
    agent: AgentOrder | None = None
    kind: str = ""
    workspace: str | None = None

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
