"""The public interface: adding a name is a decision, removing one breaks somebody."""

from __future__ import annotations

import subprocess
import sys

import wavepool
from wavepool.errors import InfrastructureError, first_of_ours

PUBLIC = [
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


def test_the_public_names_are_these_and_all_can_be_had() -> None:
    assert wavepool.__all__ == PUBLIC
    assert all(getattr(wavepool, name) is not None for name in PUBLIC)
    assert not hasattr(wavepool, "no_such_name")


def test_importing_the_package_alone_brings_in_no_engine() -> None:
    code = "import sys, wavepool; sys.exit('aiodocker' in sys.modules or 'wavepool.engine' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_first_error_of_ours_is_found_in_nested_groups_with_every_note() -> None:
    inner = ExceptionGroup("inner", [ValueError("no"), InfrastructureError("the daemon went away")])
    inner.add_note("2 tasks still run")
    found = first_of_ours(ExceptionGroup("outer", [inner]))
    assert str(found) == "the daemon went away"
    assert found.__notes__ == ["2 tasks still run"]
