"""Run many coding agents, or any commands, in memory-budgeted waves of parallel containers.

The names in `__all__` are the public interface; a test pins them. Each is imported when it is first used, so that
importing one small module does not bring in the whole engine. The command line is `wavepool`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wavepool.blocking import (
        ContainerConfig,
        ContainerManager,
        ExecutionEngine,
        ExecutionResult,
        ResourceMonitor,
        ResourceReading,
        check_docker_access,
        container_manifest,
        container_status,
        exit_code,
        parse_memory,
        save_logs,
        wait_for_containers,
    )
    from wavepool.engine.pools import Lease, TaskExecution
    from wavepool.errors import WavepoolError
    from wavepool.model import AgentType, Limits, PoolSettings
    from wavepool.plan import Plan, TierMap, parse_plan
    from wavepool.pooled import (
        AgentState,
        DockerizedTaskExecutor,
        PooledDockerExecutor,
        TaskDefinition,
        TaskResult,
    )
    from wavepool.wiring import ContainerPool, GoingOn, Hooks, RunRequest, end_run, resume_run, retry_run, run_plan
    from wavepool.workspace.named import WorktreeInfo, WorktreeManager

__all__ = [
    "AgentState",
    "AgentType",
    "ContainerConfig",
    "ContainerManager",
    "ContainerPool",
    "DockerizedTaskExecutor",
    "ExecutionEngine",
    "ExecutionResult",
    "GoingOn",
    "Hooks",
    "Lease",
    "Limits",
    "Plan",
    "PoolSettings",
    "PooledDockerExecutor",
    "ResourceMonitor",
    "ResourceReading",
    "RunRequest",
    "TaskDefinition",
    "TaskExecution",
    "TaskResult",
    "TierMap",
    "WavepoolError",
    "WorktreeInfo",
    "WorktreeManager",
    "check_docker_access",
    "container_manifest",
    "container_status",
    "end_run",
    "exit_code",
    "parse_memory",
    "parse_plan",
    "resume_run",
    "retry_run",
    "run_plan",
    "save_logs",
    "wait_for_containers",
]

_HOME_OF = {
    **dict.fromkeys(
        ("AgentState", "DockerizedTaskExecutor", "PooledDockerExecutor", "TaskDefinition", "TaskResult"),
        "wavepool.pooled",
    ),
    "WavepoolError": "wavepool.errors",
    **dict.fromkeys(("WorktreeInfo", "WorktreeManager"), "wavepool.workspace.named"),
    **dict.fromkeys(("Plan", "TierMap", "parse_plan"), "wavepool.plan"),
    **dict.fromkeys(("AgentType", "Limits", "PoolSettings"), "wavepool.model"),
    **dict.fromkeys(("Lease", "TaskExecution"), "wavepool.engine.pools"),
    **dict.fromkeys(
        ("ContainerPool", "GoingOn", "Hooks", "RunRequest", "end_run", "resume_run", "retry_run", "run_plan"),
        "wavepool.wiring",
    ),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF.get(name, "wavepool.blocking")), name)
