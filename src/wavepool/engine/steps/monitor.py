"""`wavepool monitor`: watch spawned containers to their end, or to the bound."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import anyio
from anyio.abc import TaskGroup

from wavepool.drivers.base import Driver, Observation, Phase, Scope, Synced
from wavepool.engine.attempts.perform import FIRST_PAUSE_S, TRIES
from wavepool.engine.clock import Clock
from wavepool.engine.report import evidence_json, exit_status, stamp
from wavepool.engine.steps.archive import LogArchive
from wavepool.engine.steps.manifest import Entry, Manifest
from wavepool.engine.steps.survey import Survey
from wavepool.engine.steps.timeouts import TimeoutMarks
from wavepool.errors import DriverUnavailable, InfrastructureError, InputError, InvariantBroken, NoSuchAttempt, Unknown
from wavepool.model import TIMEOUT_EXIT_CODE, Ending, Evidence, Handle, StopReason, VerdictKind
from wavepool.units import format_duration

_SHOWN = 5
"""Containers that a refusal names."""


@dataclass(slots=True, kw_only=True)
class _Watched:
    """One entry of the manifest and what is known of its container."""

    entry: Entry
    handle: Handle | None = None
    run_id: str = ""
    status: str = "unknown"
    started_at: datetime | None = None
    deadline: datetime | None = None
    ending: Ending | None = None
    timed_out: str = ""
    log: str | None = None
    log_problem: str | None = None

    @property
    def settled(self) -> bool:
        return self.ending is not None

    @property
    def verdict(self) -> VerdictKind | None:
        """A stop for time beats what was seen of its end, because the signal came from us."""
        if self.timed_out:
            return VerdictKind.TIMEOUT
        return self.ending.kind if self.ending is not None else None

    @property
    def evidence(self) -> Evidence:
        evidence = self.ending.evidence if self.ending is not None else Evidence()
        if not self.timed_out:
            return evidence
        reason = f"{self.timed_out}; {evidence.reason}" if evidence.reason else self.timed_out
        return replace(evidence, reason=reason, stop_reason=StopReason.TIMEOUT)


class Monitor:
    """Watches the containers of one manifest. Make one for each manifest; `result` may be asked at any time.

    Args:
        owner: whose containers may be watched and stopped.
        survey: tells containers that are not ours from those that are gone.
        archive: keeps the logs of all that end; None keeps none.
        grace_s: between SIGTERM and SIGKILL at the bound.
        tell: told each line of progress.
    """

    def __init__(
        self,
        *,
        manifest: Manifest,
        driver: Driver,
        owner: str,
        survey: Survey,
        marks: TimeoutMarks,
        clock: Clock,
        archive: LogArchive | None,
        grace_s: float,
        tell: Callable[[str], None],
    ) -> None:
        self._manifest = manifest
        self._driver = driver
        self._owner = owner
        self._survey = survey
        self._marks = marks
        self._clock = clock
        self._archive = archive
        self._grace_s = grace_s
        self._tell = tell
        self._watched = [_Watched(entry=entry) for entry in manifest.entries]
        self._by_id: dict[str, _Watched] = {}
        self._began = clock.now()
        self._changed = anyio.Event()
        self._engine_is_ahead = timedelta()

    async def run(self, *, timeout_s: float, poll_s: float) -> None:
        """Watch until every container has ended, those at their bound by being stopped. At once if none is left.

        Raises:
            InputError: a container of the manifest exists and is not ours; nothing was touched.
            DriverUnavailable: the engine cannot be reached, or stayed away.
        """
        if not self._watched:
            return
        bound = self._began.utc + timedelta(seconds=timeout_s)
        # Asked first, as a watch is patient with an engine that is away, and one that never was there is told at once.
        self._engine_is_ahead = timedelta(seconds=(await self._driver.probe()).clock_offset_s)
        async with (
            self._driver.watch(Scope(owner=self._owner, detached=True)) as stream,
            anyio.create_task_group() as group,
        ):
            await self._take_stock(stream, group)
            await self._settle_absent()
            async with anyio.create_task_group() as watching:
                watching.start_soon(self._report, poll_s)
                watching.start_soon(self._enforce, bound, timeout_s, watching)
                watching.start_soon(self._follow, stream, group)
                await self._all_settled()
                watching.cancel_scope.cancel()
        self._tell(self.progress())

    def progress(self) -> str:
        """The seed's line: ``Running: 5, Completed: 23, Failed: 0, Timeout: 0``. Completed are those that succeeded."""
        counts = self._metrics()
        return (
            f"Running: {counts['running']}, Completed: {counts['success']}, "
            f"Failed: {counts['failed']}, Timeout: {counts['timeout']}"
        )

    def result(self, *, ended: str | None = None) -> dict[str, object]:
        """The JSON of `monitor`.

        Args:
            ended: why the watch ended before the containers did, as ``interrupted``; None where they all ended.
        """
        metrics = self._metrics()
        finished = "timeout" if metrics["timeout"] else "complete"
        return {
            "wave_number": self._manifest.wave,
            "monitoring_duration": round(self._clock.now().boot_s - self._began.boot_s),
            "completion_status": ended or finished,
            "containers": [self._entry(each) for each in self._watched],
            "metrics": metrics,
        }

    @property
    def exit_code(self) -> int:
        """0 all succeeded, 1 one or more failed, 2 one or more reached their bound."""
        metrics = self._metrics()
        if metrics["timeout"]:
            return 2
        return 0 if metrics["success"] == metrics["total"] else 1

    # -- what is there --

    async def _take_stock(self, stream: AsyncIterator[Observation | Synced], group: TaskGroup) -> None:
        """Take in the states of all that exists, until the watch has told all."""
        found: list[Observation] = []
        async for seen in stream:
            if isinstance(seen, Synced):
                break
            found.append(seen)
        by_reference = {ref: each for each in found for ref in (each.handle.id, each.handle.name)}
        for watched in self._watched:
            entry = watched.entry
            seen_first = by_reference.get(entry.container_id) or next(
                (each for each in found if entry.means(each.handle)), None
            )
            if seen_first is None:
                continue
            if seen_first.handle.id in self._by_id:
                raise InputError(f"{self._manifest.source}: got container {entry.container_id} twice, expected it once")
            self._by_id[seen_first.handle.id] = watched
        for each in found:
            self._take(each, group)
        for watched in self._by_id.values():
            if watched.status == Phase.CREATED:
                self._settle(watched, _never_started(), group)

    async def _settle_absent(self) -> None:
        """An entry that the watch does not know is gone, or not ours."""
        foreign: list[str] = []
        limiter = anyio.CapacityLimiter(8)

        async def look(watched: _Watched) -> None:
            async with limiter:
                found = await self._survey.container_labels(watched.entry.container_id)
            if found is not None:
                foreign.append(watched.entry.name or watched.entry.container_id)
                return
            watched.status = "removed"
            watched.ending = Ending(
                kind=VerdictKind.LOST,
                evidence=Evidence(reason="its container is gone: someone removed it before its result was read"),
            )

        async with anyio.create_task_group() as group:
            for watched in self._watched:
                if watched.handle is None:
                    group.start_soon(look, watched)
        if foreign:
            raise _refusal(self._manifest.source, sorted(foreign))

    async def _follow(self, stream: AsyncIterator[Observation | Synced], group: TaskGroup) -> None:
        async for seen in stream:
            if isinstance(seen, Observation):
                self._take(seen, group)
        raise InvariantBroken("the driver's watch ended by itself")

    def _take(self, seen: Observation, group: TaskGroup) -> None:
        watched = self._by_id.get(seen.handle.id)
        if watched is None or watched.settled:
            return
        watched.handle, watched.run_id = seen.handle, seen.run_id
        watched.started_at = seen.started_at or watched.started_at
        watched.status = "removed" if seen.phase is Phase.GONE else seen.phase.value
        if watched.deadline is None and watched.entry.timeout_s is not None:
            start = watched.started_at - self._engine_is_ahead if watched.started_at else self._began.utc
            watched.deadline = start + timedelta(seconds=watched.entry.timeout_s)
        if seen.ending is not None:
            if not watched.timed_out and self._marks.noted(seen.run_id, seen.handle.id):
                watched.timed_out = "it was stopped at its bound by an earlier monitor"
            self._settle(watched, seen.ending, group)

    def _settle(self, watched: _Watched, ending: Ending, group: TaskGroup) -> None:
        watched.ending = ending
        if self._archive is not None and watched.handle is not None and watched.status != "removed":
            group.start_soon(self._keep_log, self._archive, watched, watched.handle)
        self._changed.set()

    async def _keep_log(self, archive: LogArchive, watched: _Watched, handle: Handle) -> None:
        try:
            watched.log = str(await archive.save(handle, watched.run_id))
        except (InfrastructureError, OSError) as error:
            watched.log_problem = str(error)
            self._tell(f"the log of {handle.name} could not be kept: {error}")

    # -- what goes on --

    async def _all_settled(self) -> None:
        while not all(each.settled for each in self._watched):
            self._changed = anyio.Event()
            await self._changed.wait()

    async def _report(self, poll_s: float) -> None:
        while True:
            await anyio.sleep(poll_s)
            self._tell(self.progress())

    async def _enforce(self, bound: datetime, timeout_s: float, group: TaskGroup) -> None:
        """Stop each at its own bound, and all at the monitor's."""
        while True:
            now = self._clock.now().utc
            for watched in self._by_id.values():
                if watched.settled or watched.timed_out:
                    continue
                if now >= bound:
                    self._stop(
                        watched,
                        f"it was still running when the monitor's {format_duration(timeout_s)} were over",
                        group,
                    )
                elif watched.deadline is not None and now >= watched.deadline:
                    own_s = format_duration(watched.entry.timeout_s or 0.0)
                    self._stop(watched, f"it ran longer than its batch's {own_s}", group)
            if now >= bound:
                return
            waiting = [each for each in self._by_id.values() if not each.settled and not each.timed_out]
            next_at = min([bound, *(each.deadline for each in waiting if each.deadline is not None)])
            await anyio.sleep((next_at - now).total_seconds())

    def _stop(self, watched: _Watched, reason: str, group: TaskGroup) -> None:
        handle = watched.handle
        if handle is None:
            return
        watched.timed_out = reason
        group.start_soon(self._stop_surely, watched, handle)

    async def _stop_surely(self, watched: _Watched, handle: Handle) -> None:
        """Mark it, stop it. What cannot be stopped is given up as running, and said."""
        problem = ""
        for turn in range(TRIES):
            try:
                self._marks.note(watched.run_id, handle.id)
                await self._driver.stop(handle, self._grace_s)
            except NoSuchAttempt:
                return
            except (Unknown, DriverUnavailable, InfrastructureError) as error:
                problem = str(error)
                await anyio.sleep(FIRST_PAUSE_S * 2**turn)
            else:
                return  # the watch tells how it ended
        watched.ending = Ending(kind=VerdictKind.LOST, evidence=Evidence(reason=f"it could not be stopped: {problem}"))
        self._changed.set()

    # -- what came of it --

    def _metrics(self) -> dict[str, int]:
        words = [exit_status(each.verdict) for each in self._watched]
        return {
            "total": len(words),
            "running": words.count(None),
            "exited": sum(each.status == "exited" for each in self._watched),
            "success": words.count("success"),
            "failed": words.count("failed"),
            "timeout": words.count("timeout"),
        }

    def _entry(self, each: _Watched) -> dict[str, object]:
        verdict, evidence, ending = each.verdict, each.evidence, each.ending
        container_id = each.handle.id if each.handle is not None else each.entry.container_id
        exit_code = TIMEOUT_EXIT_CODE if verdict is VerdictKind.TIMEOUT else evidence.exit_code
        return {
            "container_id": container_id,
            "id": container_id,
            "container_name": each.handle.name if each.handle is not None else each.entry.name,
            "batch_id": each.entry.batch_id or (each.handle.attempt.task_id if each.handle is not None else None),
            "status": each.status,
            "exit_code": exit_code,
            "exit_status": exit_status(verdict),
            "verdict": verdict.value if verdict is not None else None,
            "evidence": evidence_json(evidence),
            "started_at": stamp((ending.started_at if ending is not None else None) or each.started_at)
            or each.entry.started_at,
            "completed_at": stamp(ending.finished_at) if ending is not None else None,
            "log": each.log,
            "log_problem": each.log_problem,
        }


def _never_started() -> Ending:
    # Nobody is there to start it any more, so waiting for it would never end.
    evidence = Evidence(
        reason="its container was created and never started: its spawn was cut off. Clean up, spawn again."
    )
    return Ending(kind=VerdictKind.START_ERROR, evidence=evidence)


def _refusal(source: str, names: list[str]) -> InputError:
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return InputError(
        f"{source}: got containers that are not ours to watch and stop: {shown}; "
        "expected containers that `wavepool spawn` made with this state directory",
        advice="If they were spawned with another --state-dir, give that one. Containers of others are left alone.",
    )
