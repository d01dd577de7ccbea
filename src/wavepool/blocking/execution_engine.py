"""The seed's `ExecutionEngine`: tasks side by side, in containers or, where there is no Docker, as processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from wavepool.blocking.callbacks import Progress, ProgressCallback
from wavepool.blocking.config import ContainerConfig
from wavepool.blocking.execution import Executed, Executor, Placed, default_state_dir, to_stderr
from wavepool.blocking.orders import checked_most, read_order
from wavepool.blocking.requests import CONTAINERIZED, DRIVER_OF, SUBPROCESS
from wavepool.blocking.results import ExecutionResult
from wavepool.errors import DriverUnavailable, SettingError, WavepoolError
from wavepool.host import ResourceMonitor


class WorktreeManager(Protocol):
    """Any object that knows the directory of a task: `wavepool.WorktreeManager`, or one of the user's own."""

    def get_worktree(self, task_id: str) -> Any:
        """An object with ``worktree_path`` (or ``path``), or the path itself; None where there is none."""


class ResourceManager(Protocol):
    """The seed's custom resource manager: what a task of some complexity gets."""

    def allocate_resources(self, task_id: str, task_complexity: str) -> ContainerConfig: ...


class ExecutionEngine:
    """Runs tasks side by side. Several threads may use one engine.

    Args:
        max_concurrent: at most so many tasks at once; None for as many as memory and the pressure on this host allow.
        execution_mode: ``containerized``, ``subprocess``, or None: containers where there is a Docker, else processes,
            with one warning.
        container_config: what a task's container gets that has no `container_config` of its own; as processes tasks
            have the same flags and timeouts.
        allow_host: over the config's: an agent that does what it likes without asking may do so on the bare host.
        resource_monitor: the one of the seed unless told; not started.
        resource_manager: asked for the config of each task that has a `complexity`.
        state_dir, notice: as for `ContainerManager`.

    Attributes:
        execution_mode: ``containerized`` or ``subprocess``.
        stats: of all that this engine has run; see `docs/blocking.md`.

    Raises:
        RuntimeError: inside a running event loop; or containers were asked for, and there is no Docker.
        InputError: a value is wrong.
    """

    def __init__(
        self,
        max_concurrent: int | None = None,
        execution_mode: str | None = None,
        *,
        container_config: ContainerConfig | None = None,
        allow_host: bool | None = None,
        resource_monitor: ResourceMonitor | None = None,
        resource_manager: ResourceManager | None = None,
        state_dir: Path | None = None,
        notice: Callable[[str], None] = to_stderr,
    ) -> None:
        if execution_mode is not None and execution_mode not in DRIVER_OF:
            raise SettingError("execution_mode", execution_mode, "containerized, subprocess, or None for what there is")
        self.max_concurrent = checked_most(max_concurrent, "max_concurrent")
        self.container_config = container_config or ContainerConfig()
        if allow_host is not None:
            self.container_config = replace(self.container_config, allow_host=allow_host)
        self.container_config.check()
        self.resource_monitor = resource_monitor or ResourceMonitor()
        self._resource_manager = resource_manager
        place = state_dir or default_state_dir()
        self.execution_mode = _mode(execution_mode, place, notice)
        self._executor = Executor(self.execution_mode, state_dir=place, notice=notice)
        self._turn = threading.Lock()
        self.stats: dict[str, Any] = {
            "total_tasks": 0,
            "completed_tasks": 0,
            "failed_tasks": 0,
            "cancelled_tasks": 0,
            "total_execution_time": 0.0,
            "parallel_execution_time": 0.0,
            "execution_mode": self.execution_mode,
            "containerized_tasks": 0,
            "subprocess_tasks": 0,
            "peak_containers": 0,
        }

    def execute_tasks_parallel(
        self,
        tasks: Iterable[Mapping[str, Any]],
        worktree_manager: WorktreeManager,
        progress_callback: ProgressCallback | None = None,
    ) -> dict[str, ExecutionResult]:
        """Run them, each after the tasks that it depends on, and give their results by id, in the order of `tasks`.

        Args:
            tasks: each with ``id``, and what else a task of the seed has (`docs/blocking.md`).
            worktree_manager: says which directory each works in.
            progress_callback: told (how many have ended, of how many, the result) as each ends, in this thread. What it
                raises is told to `notice`, and stops nothing.

        Raises:
            InputError: a value is wrong; or an agent would get the bare host without `allow_host`. Nothing was started.
            InfrastructureError: no driver, or no image; nothing was started.
            KeyboardInterrupt: Ctrl-C; what ran was stopped, and nothing is left of it.
        """
        placed = [self._placed(task, worktree_manager, f"tasks[{n}]") for n, task in enumerate(tasks)]
        progress = Progress(len(placed), progress_callback, self._executor.notice)
        done = self._executor.run(
            "execute_tasks_parallel", placed, self.container_config, self.max_concurrent, progress
        )
        self._count(done)
        return done.results

    def cleanup(self) -> None:
        """Stop what other threads still run, and the monitor. Safe to repeat."""
        self._executor.close()
        self.resource_monitor.stop_monitoring()

    def _placed(self, task: Mapping[str, Any], worktrees: WorktreeManager, where: str) -> Placed:
        order = read_order(task, self.container_config, where)
        if self._resource_manager is not None and task.get("complexity") and task.get("container_config") is None:
            order = replace(order, config=self._resource_manager.allocate_resources(order.id, task["complexity"]))
        try:
            found = worktrees.get_worktree(order.id)
        except (WavepoolError, OSError, LookupError) as error:
            return Placed(order=order, problem=f"its worktree cannot be had: {error}")
        directory = getattr(found, "worktree_path", getattr(found, "path", found))
        if not isinstance(directory, str | os.PathLike):
            return Placed(
                order=order, problem=f"the worktree manager has no directory for task {order.id!r}: {found!r}"
            )
        return Placed(order=order, directory=directory)

    def _count(self, done: Executed) -> None:
        results = done.results.values()
        words = [result.status for result in results]
        ran = sum(result.start_time is not None for result in results)
        with self._turn:
            stats = self.stats
            stats["total_tasks"] += len(words)
            stats["completed_tasks"] += words.count("success")
            stats["cancelled_tasks"] += words.count("cancelled")
            stats["failed_tasks"] += words.count("failed") + words.count("timeout")
            stats["total_execution_time"] += sum(result.duration for result in results)
            stats["parallel_execution_time"] += done.wall_s
            stats[f"{self.execution_mode}_tasks"] += ran
            if self.execution_mode == CONTAINERIZED:
                stats["peak_containers"] = max(stats["peak_containers"], done.peak)


def _mode(asked: str | None, state_dir: Path, notice: Callable[[str], None]) -> str:
    """The mode that was asked for, else what there is."""
    if asked == SUBPROCESS:
        return asked
    try:
        Executor(CONTAINERIZED, state_dir=state_dir, notice=notice).probe("ExecutionEngine")
    except DriverUnavailable as error:
        if asked is not None:
            advice = f"\n{error.advice}" if error.advice else ""
            raise RuntimeError(f"Docker initialization failed: {error.message}{advice}") from error
        notice(f"{error.message.rstrip('.')}. Falling back to plain processes: no isolation, images are not used.")
        return SUBPROCESS
    return CONTAINERIZED
