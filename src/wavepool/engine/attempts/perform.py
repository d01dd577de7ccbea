"""One action, and the event that says what came of it. Every action is safe to repeat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import structlog

from wavepool.core import actions, events
from wavepool.core.actions import Action
from wavepool.core.events import Event
from wavepool.core.state import RunState
from wavepool.drivers.base import Driver, Observation
from wavepool.drivers.keeping import SupportsKeeping
from wavepool.engine.attempts.attendance import Attendance
from wavepool.engine.attempts.commands import failed_command
from wavepool.engine.attempts.saving import limited_words, most_bytes, save_chunks
from wavepool.engine.attempts.sealing import SealedRuns
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.engine.attempts.waves import WaveNetworks
from wavepool.engine.warm import Warmer
from wavepool.engine.watching.hearing import Hearing
from wavepool.errors import (
    DriverUnavailable,
    InfrastructureError,
    InputError,
    KeepError,
    MayHaveRun,
    NoSuchAttempt,
    NotStarted,
    Unknown,
    in_one_line,
)
from wavepool.model import (
    AttemptId,
    AttemptPhase,
    Changes,
    Ending,
    Evidence,
    Handle,
    LogRecord,
    SidecarTrouble,
    Task,
    VerdictKind,
)
from wavepool.statedir import RunDir
from wavepool.workspace.base import Workspaces

TRIES = 5
"""How often a call is repeated whose outcome is unknown, or that found no daemon, before it is given up."""

OUTAGE_S = 180.0
"""How long a call waits for a daemon that is not there: longer than a watch does, which ends the run by then."""

OUTAGE_PAUSE_S = 2.0
"""Between two looks for it, at most."""

FIRST_PAUSE_S = 0.5
"""Before the first repeat; doubled for each further one."""

CONCURRENT_KEEPS = 4
"""File systems that are kept at once. They may take minutes each, and must not hold up log reads and removals."""

CONCURRENT_BRINGS = 4
"""Workspaces whose changes are brought back, or that are removed, at once: each is a container or some gits."""

CONCURRENT_CALLS = 10
"""Log reads and removals under way at once: a daemon that is asked for more serves all of them later."""

LOST_LOG_S = 30.0
"""How long the log of a lost attempt is read: it may still run, and then its log has no end."""

_log = structlog.get_logger(__name__)


class Performer:
    """Performs the actions of one run through its driver.

    Args:
        state: of the run; only read.
        driver: open; closed by its owner.
        specs: builds what is asked of the driver.
        files: the run's directory.
        networks: of the waves.
        warmer: whose parked containers the starts claim.
        workspaces: where attempts work; None for the run's workspace itself, from which nothing is brought back.
    """

    def __init__(
        self,
        *,
        state: RunState,
        driver: Driver,
        specs: SpecBuilder,
        files: RunDir,
        networks: WaveNetworks,
        warmer: Warmer | None = None,
        workspaces: Workspaces | None = None,
    ) -> None:
        self._state = state
        self._driver = driver
        self._networks = networks
        self._warmer = warmer
        self._specs = specs
        self._files = files
        self._limiter = anyio.CapacityLimiter(CONCURRENT_CALLS)
        self._keeping = anyio.CapacityLimiter(CONCURRENT_KEEPS)
        self._bringing = anyio.CapacityLimiter(CONCURRENT_BRINGS)
        self._workspaces = workspaces
        self._sealed = SealedRuns(driver=driver, specs=specs, files=files, pause=self._pause)
        self._attendance = Attendance(
            state=state, driver=driver, specs=specs, files=files, save=self._save_logs, workspaces=workspaces
        )
        self._methods: Mapping[type, Callable[[Any], Awaitable[Event | None]]] = {
            actions.PrepareWave: self._prepare_wave,
            actions.ReleaseWave: self._release_wave,
            actions.StartAttempt: self._start,
            actions.StopAttempt: self._stop,
            actions.ArchiveLogs: self._archive,
            actions.RemoveAttempt: self._remove,
        }

    async def perform(self, action: Action) -> Event | None:
        """Do it; None where the watch will tell what comes of it.

        Raises:
            DriverUnavailable: the daemon stayed away through all tries of a call that cannot be left out.
        """
        return await self._methods[type(action)](action)

    def saw(self, seen: Observation) -> None:
        """The watch of the run told this."""
        self._sealed.saw(seen)

    async def _prepare_wave(self, action: actions.PrepareWave) -> Event:
        try:
            await self._networks.ensure(action.wave)
        except InfrastructureError as error:
            return events.WaveReady(wave=action.wave, problem=str(error))
        return events.WaveReady(wave=action.wave)

    async def _release_wave(self, action: actions.ReleaseWave) -> None:
        wave = self._state.waves[action.wave]
        await self._networks.release(action.wave, still=lambda: wave.settled)  # a retry may open it again

    async def _start(self, action: actions.StartAttempt) -> Event | None:
        if self._warmer is None:
            return await self._start_now(action.attempt, None)
        async with self._warmer.starting(action.attempt) as parked:
            return await self._start_now(action.attempt, parked)

    async def _start_now(self, attempt: AttemptId, parked: Handle | None) -> Event | None:
        problem = ""
        for pause_s in _pauses():
            try:
                handle = await self._attendance.start(attempt)
            except NotStarted as error:
                return events.Ended(attempt=attempt, handle=None, ending=_not_started(error))
            except MayHaveRun as error:
                ending = Ending(kind=VerdictKind.LOST, evidence=Evidence(reason=error.message))
                return events.Ended(attempt=attempt, handle=self._handle(attempt), ending=ending)
            except (Unknown, DriverUnavailable) as error:
                problem = str(error)
                _log.warning("start not known", attempt=str(attempt), problem=problem)
                await self._pause(pause_s)
                if not self._still_to_start(attempt):
                    break
            except (InfrastructureError, InputError) as error:  # the latter of a repository that has changed since
                return events.Ended(attempt=attempt, handle=None, ending=_start_error(str(error), transient=False))
            else:
                warm = parked is not None and parked.id == handle.id  # else it was proved dead, and replaced
                return events.Running(attempt=attempt, handle=handle, started_at=None, warm=warm)
        if (live := self._state.attempt(attempt)) is None or live.handle is not None:
            return None  # the watch has told meanwhile
        evidence = Evidence(reason=f"whether it started could not be known: {problem}")
        return events.Ended(
            attempt=attempt, handle=self._handle(attempt), ending=Ending(kind=VerdictKind.LOST, evidence=evidence)
        )

    async def _pause(self, pause_s: float) -> None:
        """Before a call is repeated: so long, and then until a daemon is there (at most `OUTAGE_S`)."""
        await anyio.sleep(pause_s)
        with anyio.move_on_after(OUTAGE_S):
            while True:
                try:
                    await self._driver.probe()
                except InfrastructureError:
                    await anyio.sleep(OUTAGE_PAUSE_S)
                else:
                    return

    def _still_to_start(self, attempt: AttemptId) -> bool:
        """False once the watch has seen it (it may be gone again: it must not run twice), or a stop is wanted."""
        live = self._state.attempt(attempt)
        return live is not None and live.phase is AttemptPhase.INTENDED

    async def _stop(self, action: actions.StopAttempt) -> Event | None:
        problem = ""
        for pause_s in _pauses():
            try:
                await self._driver.stop(action.handle, action.grace_s)
            except NoSuchAttempt as error:
                problem = str(error)
                break
            except (Unknown, DriverUnavailable) as error:
                problem = str(error)
                _log.warning("stop not known", attempt=str(action.attempt), problem=problem)
                await self._pause(pause_s)
            else:
                return None
        evidence = Evidence(reason=f"it could not be stopped: {problem}")
        return events.Ended(
            attempt=action.attempt, handle=action.handle, ending=Ending(kind=VerdictKind.LOST, evidence=evidence)
        )

    async def _archive(self, action: actions.ArchiveLogs) -> Event:
        task = self._state.tasks[action.attempt.task_id].task
        path = self._files.logs / f"{task.key}.{action.attempt.number}.log"
        ending = self._state.live[action.attempt].ending
        may_run = ending is not None and ending.kind is VerdictKind.LOST
        record: LogRecord | None = None
        hearing = self._hearing(task)
        async with self._limiter:
            with anyio.move_on_after(LOST_LOG_S if may_run else None):
                record = await self._save_logs(self._handle(action.attempt), path, hearing)
            sidecars = await self._attendance.dismiss(action.attempt, self._handle(action.attempt), ending)
        record = record or _cut_off(path)
        if task.commands and record.path is not None:
            record = replace(record, failed_command=await anyio.to_thread.run_sync(failed_command, path))
        exit_code = None if ending is None else ending.evidence.exit_code
        return events.Archived(
            attempt=action.attempt,
            log=record,
            sidecars=sidecars,
            agent=None if hearing is None else hearing.report(exit_code),
            changes=await self._bring_back(task, action.attempt),
        )

    def _hearing(self, task: Task) -> Hearing | None:
        adapter = None if task.agent is None else self._specs.adapters.get(task.agent.name)
        return None if task.agent is None or adapter is None else Hearing(adapter, task.agent)

    async def _bring_back(self, task: Task, attempt: AttemptId) -> Changes | None:
        if self._workspaces is None:
            return None
        async with self._bringing:
            try:
                return await self._workspaces.bring_back(task, attempt, self._sealed)
            except (InfrastructureError, InputError, OSError) as error:  # a verdict must follow, whatever it is
                _log.exception("changes not brought back", attempt=str(attempt))
                return Changes(problem=f"its changes could not be brought back: {error}")

    async def _save_logs(self, handle: Handle, path: Path, hearing: Hearing | None = None) -> LogRecord:
        limit_bytes = self._specs.surroundings.log_limit_bytes
        problem: str | None = None
        for pause_s in _pauses():
            try:
                async with self._driver.logs(handle) as chunks:
                    if hearing is not None:
                        hearing.begin()
                    saved = await save_chunks(
                        chunks,
                        path,
                        limit_bytes=most_bytes(limit_bytes),
                        also=None if hearing is None else hearing.take,
                    )
                problem = (saved.gap_reason or limited_words(limit_bytes)) if saved.gap else None
                return LogRecord(
                    path=f"logs/{path.name}", size_bytes=saved.size_bytes, truncated=saved.gap, problem=problem
                )
            except NoSuchAttempt:
                return LogRecord(problem="nothing was left of it to read logs from")
            except InfrastructureError as error:
                problem = str(error)
                await self._pause(pause_s)
            except OSError as error:
                return LogRecord(problem=f"logs could not be written: {error}", truncated=True)
        return LogRecord(problem=f"logs could not be read: {problem}", truncated=True)

    async def _remove(self, action: actions.RemoveAttempt) -> Event:
        problem: str | None = None
        async with self._keeping:
            kept, not_kept = await self._keep(action.attempt)
        async with self._limiter:
            await self._attendance.dismiss_unread(action.attempt, self._handle(action.attempt))
            for pause_s in _pauses():
                try:
                    removed = await self._driver.remove(self._handle(action.attempt))
                except InfrastructureError as error:
                    problem = str(error)
                else:
                    problem = "; ".join(removed.errors) or None
                if problem is None:
                    break
                await self._pause(pause_s)
        task = self._state.tasks[action.attempt.task_id].task
        self._files.drop_slot(task.key, action.attempt.number)
        problem = "; ".join(part for part in (problem, await self._release(task, action.attempt)) if part) or None
        return events.Cleared(attempt=action.attempt, problem=problem, kept=kept, not_kept=not_kept)

    async def _release(self, task: Task, attempt: AttemptId) -> str | None:
        """Give its workspace up; what of it is still there."""
        if self._workspaces is None:
            return None
        async with self._bringing:
            try:
                await self._workspaces.release(task, attempt)
            except (InfrastructureError, InputError, OSError) as error:
                return f"the workspace of attempt {attempt}: {error}"
        return None

    async def _keep(self, attempt: AttemptId) -> tuple[str | None, str | None]:
        """(what it was kept as, why it was not): both None where nothing is to be kept, or nothing is there."""
        live = self._state.attempt(attempt)
        rules = self._state.rules
        if not rules.keep_failed or live is None or (live.verdict is VerdictKind.SUCCESS and not rules.keep_all):
            return None, None
        if live.handle is None or not isinstance(self._driver, SupportsKeeping):
            return None, None
        problem = ""
        for pause_s in _pauses():
            try:
                return await self._driver.keep(live.handle, self._specs.kept_reference(attempt)), None
            except NoSuchAttempt:
                return None, None
            except KeepError as error:
                return None, str(error)
            except InfrastructureError as error:
                problem = str(error)
                await self._pause(pause_s)
        return None, problem

    def _handle(self, attempt: AttemptId) -> Handle:
        live = self._state.attempt(attempt)
        if live is not None and live.handle is not None:
            return live.handle
        return self._specs.handle(self._driver.name, self._state.tasks[attempt.task_id].task, attempt)


def _cut_off(path: Path) -> LogRecord:
    """What was read in `LOST_LOG_S`."""
    problem = f"its log was read for {LOST_LOG_S:.0f} s only: it may still have been running"
    if not path.exists():
        return LogRecord(problem=problem, truncated=True)
    return LogRecord(path=f"logs/{path.name}", size_bytes=path.stat().st_size, problem=problem, truncated=True)


def _pauses() -> list[float]:
    return [FIRST_PAUSE_S * 2**n for n in range(TRIES)]


def _not_started(error: NotStarted) -> Ending:
    """The program itself could not be executed: that is the task's failure; all else is the machine's."""
    if error.program_exit_code is not None:
        evidence = Evidence(reason=str(error), exit_code=error.program_exit_code)
        return Ending(kind=VerdictKind.FAILED, evidence=evidence)
    return _start_error(str(error), transient=error.transient, sidecars=error.sidecars)


def _start_error(words: str, *, transient: bool, sidecars: tuple[SidecarTrouble, ...] = ()) -> Ending:
    reason = f"it could not be started: {in_one_line(words)}"
    return Ending(
        kind=VerdictKind.START_ERROR,
        evidence=Evidence(reason=reason, daemon_error=None if sidecars else words, sidecars=sidecars),
        transient=transient,
    )
