"""The blocking face of Wavepool, by the seeds' names: for scripts and notebooks without an event loop.

`ContainerManager` and `ExecutionEngine` run tasks of agents in containers, `ResourceMonitor` looks at the host, and the
helper functions (see `wavepool.blocking.containers`) answer short questions about single containers. Inside a running
event loop all of them refuse: there they would stop everything else.
"""

from __future__ import annotations

from wavepool.blocking.config import ContainerConfig
from wavepool.blocking.container_manager import ContainerManager
from wavepool.blocking.containers import (
    check_docker_access,
    container_manifest,
    container_status,
    exit_code,
    parse_memory,
    save_logs,
    wait_for_containers,
)
from wavepool.blocking.execution_engine import ExecutionEngine
from wavepool.blocking.results import ExecutionResult
from wavepool.host import ResourceMonitor, ResourceReading

__all__ = [
    "ContainerConfig",
    "ContainerManager",
    "ExecutionEngine",
    "ExecutionResult",
    "ResourceMonitor",
    "ResourceReading",
    "check_docker_access",
    "container_manifest",
    "container_status",
    "exit_code",
    "parse_memory",
    "save_logs",
    "wait_for_containers",
]
