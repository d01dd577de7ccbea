"""Does what a `Recovery` says, and nothing else; each run under its lock, so that two at once do not meet."""

from __future__ import annotations

import re
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

import anyio
import anyio.to_thread

from wavepool import labels
from wavepool.drivers.base import Driver, Observation, Scope, Synced
from wavepool.drivers.holdings import HeldContainer, HeldNetwork, HeldSecrets, Holdings
from wavepool.engine.attempts.saving import save_chunks
from wavepool.engine.clock import Clock
from wavepool.engine.recover.findings import Action, Fate, Finding, Recovery, RunFindings, ThingKind
from wavepool.engine.recover.ledger import Ledger, attempts_of
from wavepool.engine.recover.runs import RunState, look_at
from wavepool.engine.replay import take_up
from wavepool.errors import (
    DriverUnavailable,
    InfrastructureError,
    InvariantBroken,
    NoSuchAttempt,
    RunLocked,
    Unknown,
    WavepoolError,
)
from wavepool.journal.base import Journal
from wavepool.model import AttemptId, LogRecord
from wavepool.statedir import RunDir, StateDir

AT_ONCE = 8
"""Containers dealt with together; the daemon serialises most of the work anyway."""

_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")

OpenJournal = Callable[[RunDir], AbstractAsyncContextManager[Journal]]
Resume = Callable[[str], Awaitable[str]]
"""Goes on with the run of this id, to its end; how it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """How to act: by driver name, what it holds and the driver itself, both open."""

    holdings: Mapping[str, Holdings]
    drivers: Mapping[str, Driver]

    def driver(self, name: str) -> Driver:
        """The driver of this name. Raises DriverUnavailable where it is not open."""
        if name not in self.drivers:
            raise DriverUnavailable(f"the {name} driver is not there")
        return self.drivers[name]


@dataclass(slots=True, kw_only=True)
class Reaped:
    """What was done. `problems` has one sentence for each thing that is still there."""

    done: list[tuple[Finding, Action]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Sentences about what changed since the look, and was left alone."""
    logs: list[str] = field(default_factory=list)
    resumed: dict[str, str] = field(default_factory=dict)


class Reaper:
    """Performs the acts of a recovery.

    Args:
        owner, state_dir: whose.
        engines: where.
        journals: opens the journal of a run that is held.
        resume: goes on with a run.
        grace_s: between SIGTERM and SIGKILL.
        tell: told what is done and what fails.
    """

    def __init__(
        self,
        *,
        owner: str,
        state_dir: StateDir,
        engines: Engines,
        clock: Clock,
        journals: OpenJournal,
        resume: Resume,
        grace_s: float,
        tell: Callable[[str], None],
    ) -> None:
        self._owner = owner
        self._state_dir = state_dir
        self._engines = engines
        self._clock = clock
        self._journals = journals
        self._resume = resume
        self._grace_s = grace_s
        self._tell = tell
        self.reaped = Reaped()

    async def perform(self, recovery: Recovery) -> Reaped:
        """Do it. What cannot be done is in the result; cancelling it leaves `reaped` as far as it came."""
        for run in recovery.runs:
            if any(finding.acts for finding in run.findings):
                await self._guarded(run.run.id, partial(self._run, run))
        for finding in recovery.loose:
            if finding.acts:
                await self._guarded(finding.name, partial(self._loose, finding))
        return self.reaped

    # -- one run --

    async def _run(self, run: RunFindings) -> None:
        if run.fate is Fate.ADOPT:
            await self._adopt(run)
            return
        files = self._state_dir.run(run.run.id)
        async with AsyncExitStack() as stack:
            if run.run.state is not RunState.MISSING:
                stack.enter_context(files.lock(as_its_process=False))
                if await self._has_changed(run):
                    self._skip(f"run {run.run.id} has changed since it was looked at")
                    return
            ledger = await self._open_ledger(stack, run, files) if run.fate is Fate.REAP else None
            await self._clear_away(run, ledger, files)

    async def _adopt(self, run: RunFindings) -> None:
        self._tell(f"resuming run {run.run.id}: {run.why}")
        self.reaped.resumed[run.run.id] = await self._resume(run.run.id)
        self._note(run.itself(), Action.RESUME_RUN)

    async def _has_changed(self, run: RunFindings) -> bool:
        """True where somebody went on with it between the look and our lock."""
        now = await anyio.to_thread.run_sync(lambda: look_at(self._state_dir, run.run.id, held=True))
        return (now.state, now.facts) != (run.run.state, run.run.facts)

    async def _open_ledger(self, stack: AsyncExitStack, run: RunFindings, files: RunDir) -> Ledger:
        journal = await stack.enter_async_context(self._journals(files))
        replayed = await take_up(journal)
        if replayed is None:
            raise InvariantBroken(f"the journal of run {run.run.id} was full, and is empty")
        driver = self._engines.driver(run.run.driver)
        ledger = Ledger(
            journal=journal,
            replayed=replayed,
            files=files,
            clock=self._clock,
            seen=dict(attempts_of(await self._observe(driver, run.run.id))),
            because=run.why,
        )
        await ledger.begin()
        return ledger

    async def _observe(self, driver: Driver, run_id: str) -> list[Observation]:
        found: list[Observation] = []
        async with driver.watch(Scope(owner=self._owner, run_id=run_id, detached=False)) as stream:
            async for seen in stream:
                if isinstance(seen, Synced):
                    break
                found.append(seen)
        return found

    async def _clear_away(self, run: RunFindings, ledger: Ledger | None, files: RunDir) -> None:
        """Containers together, then what they used; slots last, as the marks in them tell what was started."""
        before = len(self.reaped.problems)
        limiter = anyio.CapacityLimiter(AT_ONCE)
        containers = [each for each in run.findings if isinstance(each.held, HeldContainer) and each.acts]
        for is_attempt in (True, False):  # what stands beside an attempt serves it to its end
            async with anyio.create_task_group() as group:
                for finding in containers:
                    if (_attempt_of(finding.held) is not None) is is_attempt:
                        group.start_soon(self._container, finding, ledger, files, limiter)
        failed = len(self.reaped.problems) > before
        await self._things(run, files, (ThingKind.NETWORK, ThingKind.SECRETS))
        if failed:
            return  # what is left of it is found again by the next recovery, or by a resume
        if ledger is not None:
            await ledger.close()
            self._note(run.itself(), Action.CLOSE_RUN)
            self._tell(f"closed run {run.run.id}: `wavepool resume {run.run.id}` goes on with what is left of its plan")
        await self._things(run, files, (ThingKind.SLOT, ThingKind.SOCKET))

    async def _things(self, run: RunFindings, files: RunDir, kinds: tuple[ThingKind, ...]) -> None:
        for finding in run.findings:
            if finding.acts and finding.kind in kinds:
                await self._guarded(finding.name, partial(self._thing, finding, files))

    async def _container(
        self, finding: Finding, ledger: Ledger | None, files: RunDir, limiter: anyio.CapacityLimiter
    ) -> None:
        async with limiter:
            await self._guarded(finding.name, partial(self._reap, finding, ledger, files))

    async def _reap(self, finding: Finding, ledger: Ledger | None, files: RunDir) -> None:
        held = finding.held
        assert isinstance(held, HeldContainer)
        holdings = self._engines.holdings[held.driver]
        attempt = _attempt_of(held)
        if ledger is not None and attempt is not None:
            await ledger.reach(attempt)
        if Action.STOP in finding.acts:
            await self._stop(holdings, held)
            self._note(finding, Action.STOP)
        log = LogRecord(problem="it never started")
        if Action.ARCHIVE_LOG in finding.acts:
            log = await self._archive(holdings, held, files)
            self._note(finding, Action.ARCHIVE_LOG)
        if ledger is not None and attempt is not None:
            await ledger.settle(attempt, log)
        problem = await holdings.remove(held)
        if ledger is not None and attempt is not None:
            await ledger.clear(attempt, problem)
        self._note_removal(finding, problem)

    async def _stop(self, holdings: Holdings, held: HeldContainer) -> None:
        try:
            await holdings.stop(held, self._grace_s)
        except Unknown as error:
            self._tell(f"{held.name} could not be stopped in time, it is killed: {error}")

    async def _archive(self, holdings: Holdings, held: HeldContainer, files: RunDir) -> LogRecord:
        """Its whole output, where a run puts it. An OSError or DriverUnavailable lets it be kept: once it is removed
        its log is gone for ever."""
        path = files.logs / _log_name(held)
        try:
            async with holdings.output(held) as chunks:
                saved = await save_chunks(chunks, path)
        except NoSuchAttempt:
            return LogRecord(problem="nothing was left of it to read logs from")
        self.reaped.logs.append(str(path))
        return LogRecord(
            path=f"logs/{path.name}", size_bytes=saved.size_bytes, truncated=saved.gap, problem=saved.gap_reason or None
        )

    # -- other things --

    async def _thing(self, finding: Finding, files: RunDir) -> None:
        problem = ""
        if isinstance(finding.held, HeldNetwork):
            problem = await self._engine_of(finding).remove_network(finding.held)
        elif isinstance(finding.held, HeldSecrets):
            problem = await self._engine_of(finding).discard(finding.held)
        elif finding.kind is ThingKind.SLOT:
            await anyio.to_thread.run_sync(shutil.rmtree, files.slots / finding.name, True)
            problem = f"{files.slots / finding.name} is still there" if (files.slots / finding.name).exists() else ""
        elif finding.kind is ThingKind.SOCKET:
            files.control.unlink(missing_ok=True)
        self._note_removal(finding, problem)

    async def _loose(self, finding: Finding) -> None:
        """A network that runs share: only while no run can take it up."""
        if not isinstance(finding.held, HeldNetwork):
            return
        with self._state_dir.try_exclusive(finding.name) as alone:
            if not alone:
                self._skip(f"network {finding.name} is used by a live run by now")
                return
            self._note_removal(finding, await self._engine_of(finding).remove_network(finding.held))

    def _engine_of(self, finding: Finding) -> Holdings:
        """Networks and secrets beside containers are Docker's alone."""
        return self._engines.holdings["docker"]

    # -- words --

    async def _guarded(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """One thing that fails must not keep the others."""
        try:
            await work()
        except RunLocked as error:
            self._skip(f"{name}: {error.message}")
        except (DriverUnavailable, InfrastructureError, WavepoolError, OSError) as error:
            self._fail(f"{name}: {error}")

    def _note(self, finding: Finding, action: Action) -> None:
        self.reaped.done.append((finding, action))

    def _note_removal(self, finding: Finding, problem: str) -> None:
        if problem:
            self._fail(problem)
            return
        self._note(finding, Action.REMOVE)
        self._tell(f"removed {finding.what} {finding.name}: {finding.why}")

    def _fail(self, sentence: str) -> None:
        self.reaped.problems.append(sentence)
        self._tell(f"error: {sentence}")

    def _skip(self, sentence: str) -> None:
        self.reaped.skipped.append(sentence)
        self._tell(f"{sentence}: left alone")


def _attempt_of(held: object) -> AttemptId | None:
    """None for what is no attempt of a run."""
    if not isinstance(held, HeldContainer):
        return None
    number = held.labels.get(labels.ATTEMPT, "")
    if labels.ROLE in held.labels or not number.isdigit() or labels.TASK not in held.labels:
        return None
    return AttemptId(held.labels[labels.TASK], int(number))


def _log_name(held: HeldContainer) -> str:
    """As a run names the log of an attempt; as `wavepool cleanup` that of a spawned one; else after the container."""
    key, number = held.labels.get(labels.TASK_KEY, ""), held.labels.get(labels.ATTEMPT, "")
    if labels.DETACHED in held.labels:
        return f"{held.id}.log"
    if labels.ROLE not in held.labels and _KEY.fullmatch(key) and number.isdigit():
        return f"{key}.{number}.log"
    return f"{held.name}.log"
