"""The shapes of the seed's WebSocket: as programs know it that were written for the original. Names are the seed's."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


class SeedStats(TypedDict):
    """`cpu_percent` is of one core, measured between two readings; memory and network are bytes, network since the
    container's start."""

    cpu_percent: float
    memory_usage: int
    memory_limit: int
    network_rx: int
    network_tx: int


class DetailedStats(SeedStats):
    """With what the seed leaves open: processes, percent of the limit, bytes read from and written to disks."""

    memory_percent: float
    pids: int
    block_read: int
    block_write: int


class HostPort(TypedDict):
    """Where a port of a container is reached."""

    HostIp: str
    HostPort: str


class SeedContainer(TypedDict):
    """One container, by its name. There are no variables in it, and never were in ours.

    `stats` are of one that runs; `recent_logs` are its last lines. Of more than `containers.MEASURED` containers the
    oldest have neither.
    """

    id: str
    name: str
    status: str
    created: str
    image: str
    labels: dict[str, str]
    ports: dict[str, list[HostPort]]
    task_id: str
    updated_at: str
    exit_code: NotRequired[int]
    stats: NotRequired[SeedStats]
    recent_logs: NotRequired[list[str]]


class SeedProcess(TypedDict):
    """One process, by its pid as text."""

    name: str
    cmdline: str
    status: str
    cpu_percent: float
    memory_mb: float
    create_time: str


class SeedGitStatus(TypedDict):
    """All null, and no changes, where git could not be asked."""

    clean: bool | None
    changes_count: int | None
    changes: list[str]


class SeedWorktree(TypedDict):
    """One worktree or clone, by its path."""

    path: str
    name: str
    task_id: str
    task_name: str
    phase: str
    git_status: SeedGitStatus


class SeedSummary(TypedDict):
    """`failed_containers` have ended with another exit code than 0."""

    total_containers: int
    running_containers: int
    failed_containers: int
    active_processes: int
    active_worktrees: int
