"""The seed's `ContainerManager`: tasks in containers, one or several, and their results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from wavepool.blocking.callbacks import Progress, ProgressCallback
from wavepool.blocking.config import ContainerConfig
from wavepool.blocking.execution import Executor, Placed, default_state_dir, to_stderr
from wavepool.blocking.orders import TaskOrder, checked_most, read_order
from wavepool.blocking.requests import CONTAINERIZED
from wavepool.blocking.results import ExecutionResult
from wavepool.errors import DriverUnavailable, SettingError


class ContainerManager:
    """Runs tasks in containers. `cleanup` ends it, as does leaving a ``with`` block.

    Args:
        config: what each task's container gets; the seed's defaults unless told.
        state_dir: where journals and logs of the runs are; None for the one of the settings.
        notice: takes sentences for a person; stderr unless told.

    Raises:
        RuntimeError: there is no Docker that can be used; it says what to do. Or this is inside a running event loop.
        InputError: a field of `config` is wrong.
    """

    def __init__(
        self,
        config: ContainerConfig | None = None,
        *,
        state_dir: Path | None = None,
        notice: Callable[[str], None] = to_stderr,
    ) -> None:
        self.config = config or ContainerConfig()
        self.config.check()
        self._executor = Executor(CONTAINERIZED, state_dir=state_dir or default_state_dir(), notice=notice)
        try:
            self._executor.probe("ContainerManager")
        except DriverUnavailable as error:
            advice = f"\n{error.advice}" if error.advice else ""
            raise RuntimeError(f"Docker initialization failed: {error.message}{advice}") from error

    def execute_containerized_task(
        self,
        task_id: str,
        worktree_path: str | os.PathLike[str],
        prompt_file: str | os.PathLike[str],
        task_context: Mapping[str, Any] | None = None,
    ) -> ExecutionResult:
        """Run one task to its end. What fails in it is in its result.

        Args:
            worktree_path: the directory that it works in, seen inside at /workspace.
            prompt_file: relative to that directory, else to the working directory; read here, and given to the agent.
            task_context: the other fields of a task: ``name``, ``timeout_seconds``, ``max_turns``, ``target_files``,
                ``complexity``, ``container_config``.

        Raises:
            InputError: a value is wrong.
            InfrastructureError: no daemon, or no image; nothing was started.
            KeyboardInterrupt: Ctrl-C; what ran was stopped, and nothing is left of it.
        """
        fields = {**(task_context or {}), "id": task_id, "prompt_file": prompt_file, "dependencies": ()}
        order = read_order(fields, self.config, "task")
        done = self._executor.run(
            "execute_containerized_task",
            [Placed(order=order, directory=worktree_path)],
            order.config,
            1,
            lambda _: None,
        )
        return done.results[task_id]

    def execute_parallel_tasks(
        self,
        tasks: Iterable[Mapping[str, Any]],
        max_parallel: int | None = None,
        progress_callback: ProgressCallback | None = None,
    ) -> dict[str, ExecutionResult]:
        """Run several, and give their results by id, in the order of `tasks`.

        Args:
            tasks: each with ``id`` and ``worktree_path``, and the other fields of a task, beside these or in
                ``context``.
            max_parallel: at most so many at once; None for as many as memory and the pressure on this host allow.
            progress_callback: told (how many have ended, of how many, the result) as each ends, in this thread. What it
                raises is told to `notice`, and stops nothing.

        Raises:
            InputError, InfrastructureError, KeyboardInterrupt: as `execute_containerized_task`.
        """
        placed = [_placed(task, self.config, f"tasks[{n}]") for n, task in enumerate(tasks)]
        progress = Progress(len(placed), progress_callback, self._executor.notice)
        done = self._executor.run("execute_parallel_tasks", placed, self.config, checked_most(max_parallel), progress)
        return done.results

    def cleanup(self) -> None:
        """Stop what other threads still run, and remove what `auto_remove` False has kept. Safe to repeat."""
        self._executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.cleanup()


def _placed(task: object, config: ContainerConfig, where: str) -> Placed:
    if not isinstance(task, Mapping):
        raise SettingError(where, task, "a mapping with `id` and `worktree_path`")
    order: TaskOrder = read_order({**(task.get("context") or {}), **task}, config, where)
    directory = task.get("worktree_path")
    if not isinstance(directory, str | os.PathLike):
        raise SettingError(f"{where}.worktree_path", directory, "the directory that the task works in")
    return Placed(order=order, directory=directory)
