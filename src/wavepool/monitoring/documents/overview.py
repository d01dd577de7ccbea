"""What all runs share: the host, pools, workspaces and processes."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from wavepool.monitoring.documents.runs import RunLine, TaskCounts


class HostNow(TypedDict):
    """This host. `cpu_percent` is of all its cores together; pressure is PSI's `some` of ten seconds, in percent."""

    at: str
    name: str
    cpu_count: int
    cpu_percent: float
    memory_total_bytes: int
    memory_available_bytes: int
    disk_used_percent: float
    load: list[float]
    containers_cpu_percent: NotRequired[float]
    containers_memory_bytes: NotRequired[int]
    cpu_pressure_percent: NotRequired[float]
    memory_pressure_percent: NotRequired[float]
    io_pressure_percent: NotRequired[float]


class HostHistory(TypedDict):
    """As `UsageHistory`, of the host and of all our containers together."""

    at: list[float]
    cpu_percent: list[float | None]
    memory_used_bytes: list[int | None]
    containers_cpu_percent: list[float | None]
    containers_memory_bytes: list[int | None]


class Figures(TypedDict):
    """Of all runs that are live: the key figures of the page."""

    live_runs: int
    tasks: TaskCounts
    held_bytes: int
    budget_bytes: int
    spent_usd: float
    tokens: int
    containers: int


class PoolEntry(TypedDict):
    """One pool, by agent type. Dispatch is from the claim to the task's start; None of nothing yet is left out."""

    agent_type: str
    target: int
    idle: int
    busy: int
    cold: int
    unhealthy: int
    hits: int
    misses: int
    hit_rate_percent: NotRequired[float]
    dispatch_p50_s: NotRequired[float]
    dispatch_p99_s: NotRequired[float]
    executions: int
    drained: NotRequired[bool]
    alerts: NotRequired[list[str]]


class PoolServerEntry(TypedDict):
    """The process that serves the pools of this state directory. `alerts` are about all of them together."""

    pid: int
    since: str
    tasks: int
    clients: int
    ending: NotRequired[bool]
    alerts: NotRequired[list[str]]


class GitStatus(TypedDict):
    """Of a workspace; the seed's. `changes` are lines of ``git status --porcelain``, at most 50."""

    clean: bool
    changes_count: int
    changes: list[str]


class WorkspaceEntry(TypedDict):
    """A directory that an attempt, or a worktree by name, works in. `phase` is where its task stands."""

    path: str
    name: str
    kind: str
    branch: NotRequired[str]
    run_id: NotRequired[str]
    task_id: NotRequired[str]
    task_name: NotRequired[str]
    phase: str
    git_status: NotRequired[GitStatus]
    problem: NotRequired[str]


class ProcessEntry(TypedDict):
    """An active agent or orchestrator process on this host; the seed's, and what it is to us.

    `role` is orchestrator (holds a run), server, agent, or other. `cmdline` has no environment, and what looks like a
    key in it is blanked.
    """

    pid: int
    name: str
    role: str
    cmdline: str
    status: str
    cpu_percent: float
    memory_bytes: int
    create_time: str
    run_id: NotRequired[str]


class Overview(TypedDict):
    """The channel ``overview``. `history` is only in a whole document; who follows adds `host` to it as it changes.

    `runs` are by id: all live ones, and the newest others, `monitoring.overview.RUNS_SHOWN` together at most.
    """

    as_of: str
    figures: Figures
    host: NotRequired[HostNow]
    history: NotRequired[HostHistory]
    runs: dict[str, RunLine]
    runs_left_out: NotRequired[int]
    pool_server: NotRequired[PoolServerEntry]
    pools: dict[str, PoolEntry]
    workspaces: dict[str, WorkspaceEntry]
    processes: dict[str, ProcessEntry]
    problems: dict[str, str]
