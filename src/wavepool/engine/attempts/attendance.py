"""Attempts with sidecars: started together, and seen off together, their output kept beside the task's.

A stop that comes while sidecars are being waited for has no handle yet: here it ends the wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import structlog

from wavepool.core.state import RunState
from wavepool.drivers.base import AttemptSpec, Driver
from wavepool.drivers.sidecars import Dismissed, SupportsSidecars
from wavepool.engine.attempts.egress import EGRESS, refusals
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.errors import DriverUnavailable, InfrastructureError, NotStarted, Unknown, WavepoolError
from wavepool.model import AttemptId, AttemptPhase, Ending, Handle, LogRecord, SidecarTrouble, Task
from wavepool.statedir import RunDir
from wavepool.workspace.base import Place, Workspaces

LOOK_S = 0.2
"""How often a start that waits for sidecars looks whether it is still wanted."""
FORCED_GRACE_S = 1.0
TRIES = 3
PAUSE_S = 0.5

_log = structlog.get_logger(__name__)

SaveLogs = Callable[[Handle, Path], Awaitable[LogRecord]]


class Attendance:
    """Starts attempts, and dismisses the sidecars of those that have ended.

    Args:
        save: reads a container's whole output into a file.
        workspaces: where attempts work; None for the run's workspace itself.
    """

    def __init__(
        self,
        *,
        state: RunState,
        driver: Driver,
        specs: SpecBuilder,
        files: RunDir,
        save: SaveLogs,
        workspaces: Workspaces | None = None,
    ) -> None:
        self._state = state
        self._driver = driver
        self._specs = specs
        self._files = files
        self._save = save
        self._workspaces = workspaces

    async def start(self, attempt: AttemptId) -> Handle:
        """Start it in its workspace, its sidecars first.

        Raises as `Driver.start`, and InfrastructureError where a directory or the workspace cannot be made. One whose
        stop is wanted before it has a workspace is NotStarted.
        """
        spec = await self._spec(attempt)
        if not spec.sidecars:
            return await self._driver.start(spec)
        if not isinstance(self._driver, SupportsSidecars):
            raise NotStarted(f"{spec.name}: the {self._driver.name} driver has no sidecars", advice="Use Docker.")
        task = self._state.tasks[attempt.task_id].task
        builder = self._specs.companions(task, attempt, self._data(task, attempt))
        await anyio.to_thread.run_sync(builder.make_directories, spec.sidecars)
        return await self._start_attended(spec)

    async def dismiss(self, attempt: AttemptId, handle: Handle, ending: Ending | None) -> tuple[SidecarTrouble, ...]:
        """Stop the sidecars of an attempt that has ended, keep their output; those that had ended before it did."""
        task = self._state.tasks[attempt.task_id].task
        if not task.sidecars or not isinstance(self._driver, SupportsSidecars):
            return ()
        found = await self._dismissed(self._driver, handle)
        troubles = [_trouble(each, ending) for each in found]
        for each in found:
            path = self._log_path(task, attempt, each.name)
            await self._save(each.handle, path)
            if each.name == EGRESS:
                troubles.append(await anyio.to_thread.run_sync(_refused, path))
        return tuple(trouble for trouble in troubles if trouble is not None)

    async def dismiss_unread(self, attempt: AttemptId, handle: Handle) -> None:
        """The same before a removal, unless it is done: one that did not start has no logs of its own to read."""
        task = self._state.tasks[attempt.task_id].task
        if any(not self._log_path(task, attempt, sidecar.name).exists() for sidecar in task.sidecars):
            await self.dismiss(attempt, handle, None)

    async def _start_attended(self, spec: AttemptSpec) -> Handle:
        outcome: list[Handle | Exception] = []

        async def start() -> None:
            try:
                outcome.append(await self._driver.start(spec))
            except (InfrastructureError, OSError) as error:  # kept out of the group, which would wrap it
                outcome.append(error)
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(start)
            group.start_soon(self._end_wait_once_stopped, spec)
        result = outcome[0]
        if isinstance(result, Handle):
            return result
        raise result

    async def _end_wait_once_stopped(self, spec: AttemptSpec) -> None:
        await self._until_unwanted(spec.attempt)
        handle = Handle(driver=self._driver.name, id="", name=spec.name, attempt=spec.attempt)
        try:
            await self._driver.stop(handle, self._grace_s())
        except (Unknown, DriverUnavailable) as error:
            _log.warning("a start is not wanted any more, and goes on", attempt=str(spec.attempt), problem=str(error))

    async def _dismissed(self, driver: SupportsSidecars, handle: Handle) -> Sequence[Dismissed]:
        problem = ""
        for _ in range(TRIES):
            try:
                return await driver.dismiss(handle, self._grace_s())
            except InfrastructureError as error:
                problem = str(error)
                await anyio.sleep(PAUSE_S)
        _log.warning("sidecars not stopped; they are killed when they are removed", of=handle.name, problem=problem)
        return ()

    async def _spec(self, attempt: AttemptId) -> AttemptSpec:
        task = self._state.tasks[attempt.task_id].task
        place = None if self._workspaces is None else await self._place(self._workspaces, task, attempt)
        node = self._state.rules.nodes[self._state.live[attempt].node].name
        slot = self._files.slot(task.key, attempt.number)
        return self._specs.build(task, attempt, slot, node, self._data(task, attempt), place)

    async def _place(self, workspaces: Workspaces, task: Task, attempt: AttemptId) -> Place:
        """Its workspace. Many may wait for theirs; whose start is not wanted any more waits no longer, nor starts."""
        outcome: list[Place | Exception] = []

        async def obtain() -> None:
            try:
                outcome.append(await workspaces.obtain(task, attempt))
            except (WavepoolError, OSError) as error:  # kept out of the group, which would wrap it
                outcome.append(error)
            group.cancel_scope.cancel()

        async def give_up() -> None:
            await self._until_unwanted(attempt)
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(obtain)
            group.start_soon(give_up)
        found = outcome[0] if outcome else None
        if isinstance(found, Exception):
            raise found
        if found is None or self._is_unwanted(attempt):
            raise NotStarted(f"{attempt}: it was stopped before it had a workspace")
        return found

    async def _until_unwanted(self, attempt: AttemptId) -> None:
        while True:
            if self._is_unwanted(attempt):
                return
            await anyio.sleep(LOOK_S)

    def _is_unwanted(self, attempt: AttemptId) -> bool:
        live = self._state.attempt(attempt)
        return live is None or live.phase is AttemptPhase.STOPPING

    def _data(self, task: Task, attempt: AttemptId) -> Path:
        return self._files.sidecar_data(task.key, attempt.number)

    def _log_path(self, task: Task, attempt: AttemptId, sidecar: str) -> Path:
        return self._files.logs / f"{task.key}.{attempt.number}.{sidecar}.log"

    def _grace_s(self) -> float:
        grace_s = self._state.rules.grace_s
        return min(FORCED_GRACE_S, grace_s) if self._state.course.forced else grace_s


def _refused(log: Path) -> SidecarTrouble | None:
    """What the proxy of a sealed attempt refused; None where its output could not be kept."""
    try:
        return refusals(log)
    except OSError:
        return None


def _trouble(sidecar: Dismissed, ending: Ending | None) -> SidecarTrouble | None:
    """What became of a sidecar while its task ran; None where all was well, or where nobody can know."""
    if sidecar.ran:
        if not sidecar.oom:
            return None
        reason = "the kernel killed a child of it for memory, and it went on"
        return SidecarTrouble(name=sidecar.name, reason=reason, oom=True)
    finished_at = ending.finished_at if ending is not None else None
    if finished_at is None or sidecar.finished_at is None or sidecar.finished_at >= finished_at:
        return None  # it was stopped by us, in an earlier process
    reason = f"it ended with exit code {sidecar.exit_code} while the task ran"
    if sidecar.oom:
        reason = "the kernel killed it for memory while the task ran; give it more (mem_limit)"
    return SidecarTrouble(
        name=sidecar.name, reason=reason, exit_code=sidecar.exit_code, oom=True if sidecar.oom else None
    )
