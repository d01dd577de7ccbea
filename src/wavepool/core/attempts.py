"""Slice: one attempt from the intention to start it to its verdict, and what that means for its task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from wavepool.core import events, facts
from wavepool.core.accounts import note_success, pause
from wavepool.core.agentwords import heard
from wavepool.core.events import Now
from wavepool.core.facts import Fact
from wavepool.core.gates.dependencies import dependency_key
from wavepool.core.gates.parallelism import parallelism_key
from wavepool.core.retry import backoff_s, may_retry
from wavepool.core.softlimits import advice, measured, next_lifetime
from wavepool.core.state import AttemptState, RunState, TaskState, TaskStatus
from wavepool.core.timers import TimerKey, TimerKind
from wavepool.errors import InvariantBroken
from wavepool.model import (
    ATTEMPT_TRANSITIONS,
    TIMEOUT_EXIT_CODE,
    AgentReport,
    AttemptId,
    AttemptPhase,
    Changes,
    Ending,
    Evidence,
    Finding,
    LogRecord,
    Resources,
    Schedule,
    SidecarTrouble,
    StopReason,
    Verdict,
    VerdictKind,
    WorkspaceKind,
)

KILL_GRACE_S = 1.0
"""Between SIGTERM and SIGKILL when the user interrupts twice."""

# -- decide --


def on_running(state: RunState, event: events.Running, now: Now) -> Iterator[Fact]:
    """The start is known. If a stop waited for it, the stop follows."""
    attempt = state.attempt(event.attempt)
    if attempt is None or attempt.handle is not None or attempt.phase not in _STARTING:
        return
    yield facts.AttemptStarted(
        attempt=event.attempt,
        handle=event.handle,
        started_at=event.started_at,
        deadline_s=_deadline_s(state, event.attempt, now),
        born_s=now.boot_s - _age_s(attempt, event.started_at, now),
        warm=event.warm,
    )
    if attempt.stop_reason is not None:
        yield _stop_intended(state, attempt, attempt.stop_reason, attempt.finding)


def on_ended(state: RunState, event: events.Ended, now: Now) -> Iterator[Fact]:
    """It ended, was lost, or did not start: free what it held, then read its logs if it has any."""
    attempt = state.attempt(event.attempt)
    if attempt is None or attempt.phase not in _UNFINISHED:
        return
    handle = attempt.handle
    if handle is None and event.handle is not None:
        handle = event.handle
        yield facts.AttemptStarted(
            attempt=event.attempt,
            handle=handle,
            started_at=event.ending.started_at,
            deadline_s=None,
            warm=event.warm,
        )
    has_logs = handle is not None and event.ending.kind is not VerdictKind.START_ERROR
    yield facts.AttemptExited(attempt=event.attempt, ending=event.ending, archive=has_logs)
    if not has_logs:
        yield from _settle(state, attempt, event.ending, LogRecord(), now)


def on_all_told(state: RunState, event: events.AllTold, now: Now) -> Iterator[Fact]:
    """After a resume: what should run, and does not exist any more, is lost."""
    for attempt in list(state.live.values()):
        if attempt.phase not in _KNOWN_TO_EXIST or attempt.id in event.present:
            continue
        reason = (
            "it vanished while no orchestrator was watching"
            if attempt.handle is not None
            else "it was stopped before it had started"
        )
        ending = Ending(kind=VerdictKind.LOST, evidence=Evidence(reason=reason), finished_at=now.utc)
        yield from on_ended(state, events.Ended(attempt=attempt.id, handle=None, ending=ending), now)


def on_archived(state: RunState, event: events.Archived, now: Now) -> Iterator[Fact]:
    """The logs are safe: now the verdict."""
    attempt = state.attempt(event.attempt)
    if attempt is None or attempt.phase is not AttemptPhase.EXITED or attempt.ending is None:
        return
    yield from _settle(
        state, attempt, _with_sidecars(attempt.ending, event.sidecars), event.log, now, event.agent, event.changes
    )


def _with_sidecars(ending: Ending, sidecars: tuple[SidecarTrouble, ...]) -> Ending:
    """Those that had ended before their task are evidence: they may be why it failed, or what it did not notice."""
    if not sidecars:
        return ending
    told = "; ".join(f"sidecar {each.name}: {each.reason}" for each in sidecars)
    reason = f"{ending.evidence.reason}; {told}" if ending.evidence.reason else told
    return replace(ending, evidence=replace(ending.evidence, reason=reason, sidecars=sidecars))


def on_cleared(state: RunState, event: events.Cleared, now: Now) -> Iterator[Fact]:
    """Nothing is left of it, or what is left is known."""
    attempt = state.attempt(event.attempt)
    if attempt is not None and attempt.phase is AttemptPhase.SETTLED:
        yield facts.AttemptRemoved(
            attempt=event.attempt, problem=event.problem, kept=event.kept, not_kept=event.not_kept
        )


def stop_for_timeout(state: RunState, attempt: AttemptId) -> Iterator[Fact]:
    """Its time, or its wave's, is up."""
    yield from _stop(state, attempt, StopReason.TIMEOUT)


def stop_for_watchdog(state: RunState, attempt: AttemptId, finding: Finding) -> Iterator[Fact]:
    """It crossed a limit whose rule says stop."""
    yield from _stop(state, attempt, StopReason.WATCHDOG, finding)


def stop_for_user(state: RunState, attempt: AttemptId) -> Iterator[Fact]:
    """Somebody cancelled its task. One that is being stopped already, or has ended, goes on as it does."""
    yield from _stop(state, attempt, StopReason.CANCELLED)


def cancel(state: RunState, attempt: AttemptId) -> Iterator[Fact]:
    """The user wants it to end now; one that is being stopped already gets a shorter grace."""
    live = state.attempt(attempt)
    if live is not None and live.phase is AttemptPhase.STOPPING and live.stop_reason is not None:
        if live.handle is not None:  # else the stop follows its start, with the grace of then
            yield _stop_intended(state, live, live.stop_reason, live.finding)
    else:
        yield from _stop(state, attempt, StopReason.CANCELLED)


def _stop(state: RunState, attempt_id: AttemptId, reason: StopReason, finding: Finding | None = None) -> Iterator[Fact]:
    attempt = state.attempt(attempt_id)
    if attempt is not None and attempt.phase in (AttemptPhase.INTENDED, AttemptPhase.RUNNING):
        yield _stop_intended(state, attempt, reason, finding)


def _stop_intended(
    state: RunState, attempt: AttemptState, reason: StopReason, finding: Finding | None = None
) -> facts.StopIntended:
    grace_s = min(KILL_GRACE_S, state.rules.grace_s) if state.forced else state.rules.grace_s
    return facts.StopIntended(
        attempt=attempt.id, reason=reason, grace_s=grace_s, handle=attempt.handle, finding=finding
    )


def _settle(
    state: RunState,
    attempt: AttemptState,
    ending: Ending,
    log: LogRecord,
    now: Now,
    agent: AgentReport | None = None,
    changes: Changes | None = None,
) -> Iterator[Fact]:
    entry = state.tasks[attempt.id.task_id]
    agent = agent and state.spending.completed(attempt.id, agent)
    verdict = _verdict(attempt, entry, ending, log, agent)
    yield facts.AttemptSettled(
        attempt=attempt.id,
        verdict=verdict,
        log=log,
        started_at=ending.started_at,
        finished_at=ending.finished_at or now.utc,
        agent=agent,
        changes=changes,
    )
    if agent is not None and agent.rate_limited and not verdict.succeeded and entry.task.agent is not None:
        yield from pause(state, entry.task.agent.pays, agent.resets_at, agent.problem, now)
    because = None if entry.cancelled else may_retry(state, entry, verdict, transient=ending.transient)
    if because is not None and not _wave_is_out_of_time(state, attempt):
        not_before_s = now.boot_s + backoff_s(entry.attempts)  # a paused account holds it back by itself
        yield facts.TaskRequeued(task_id=entry.task.id, not_before_s=not_before_s, because=because)
        return
    yield facts.TaskSettled(task_id=entry.task.id)
    if not verdict.succeeded:
        yield from _after_failure(state, entry, verdict)


def _verdict(
    attempt: AttemptState, entry: TaskState, ending: Ending, log: LogRecord, agent: AgentReport | None
) -> Verdict:
    """A stop of ours beats what the driver saw, because the signal came from us; the exit code stays as evidence."""
    kind, evidence = (ending.kind, ending.evidence) if agent is None else heard(ending, agent)
    if attempt.stop_reason is not None and evidence.signal_sender == "wavepool" and not evidence.child_oom:
        evidence = replace(
            evidence, reason=""
        )  # it says that we sent the signal, which the reason of our stop does too
    if entry.task.commands and log.failed_command is not None and kind is not VerdictKind.SUCCESS:
        evidence = _naming_command(evidence, log.failed_command, len(entry.task.commands))
    if attempt.stop_reason is not None:
        kind = VerdictKind(attempt.stop_reason.value)
        sentence, finding, what_to_do = _STOPPED[attempt.stop_reason], attempt.finding, ""
        if attempt.stop_reason is StopReason.CANCELLED and entry.cancelled:
            sentence = "the task was cancelled"
        if finding is not None:
            sentence, what_to_do = measured(finding), f": {advice(finding)}"
            evidence = replace(
                evidence,
                rule=finding.rule,
                reading=finding.reading,
                threshold=finding.threshold,
                whole_run=finding.whole_run or None,
            )
        seen = f"; {evidence.reason.rstrip('.')}" if evidence.reason else ""
        evidence = replace(evidence, stop_reason=attempt.stop_reason, reason=f"{sentence}{seen}{what_to_do}")
    if entry.may_repeat:
        evidence = replace(evidence, repeats_work=True)
    exit_code = TIMEOUT_EXIT_CODE if kind is VerdictKind.TIMEOUT else evidence.exit_code
    return Verdict(kind=kind, exit_code=exit_code, evidence=evidence)


def _naming_command(evidence: Evidence, number: int, count: int) -> Evidence:
    which = f"command {number} of {count}"
    reason = f"{which}: {evidence.reason}" if evidence.reason else f"{which} failed"
    return replace(evidence, command=number, reason=reason)


def _after_failure(state: RunState, entry: TaskState, verdict: Verdict) -> Iterator[Fact]:
    """Dependents are skipped, theirs too. Without keep_going the run stops: rolling here, barrier at the wave's end."""
    yield from skip_dependents(state, entry.task.id, verdict.kind)
    stops = state.rules.schedule is Schedule.ROLLING and not state.rules.keep_going and state.stopped is None
    if stops and not entry.cancelled:
        yield facts.RunStopped(cause=f"task {entry.task.id!r} ended as {verdict.kind}", infrastructure=False)


def skip_dependents(state: RunState, task_id: str, kind: VerdictKind) -> Iterator[Fact]:
    """The task is final without success: those that wait for it, and for them, will have no attempt."""
    causes = [(task_id, kind)]
    while causes:
        failed, how = causes.pop()
        for dependent in state.dependents.get(failed, ()):
            if state.tasks[dependent].status is TaskStatus.PENDING:
                yield facts.TaskSkipped(task_id=dependent, cause=f"its dependency {failed!r} ended as {how}")
                causes.append((dependent, VerdictKind.SKIPPED))


def _deadline_s(state: RunState, attempt: AttemptId, now: Now) -> float | None:
    bound_s = state.tasks[attempt.task_id].task.timeout_s
    if bound_s is None and state.rules.schedule is Schedule.ROLLING:
        bound_s = state.rules.task_timeout_s
    return None if bound_s is None else now.boot_s + bound_s


def _age_s(attempt: AttemptState, started_at: datetime | None, now: Now) -> float:
    """How long it has run, by the driver's clock; no longer than since its start was intended, by ours."""
    if started_at is None:
        return 0.0
    age_s = (now.utc - started_at).total_seconds()
    if attempt.intended_s is not None:  # UTC may have jumped since it started, the boot clock never does
        age_s = min(age_s, now.boot_s - attempt.intended_s)
    return max(0.0, age_s)


def _set_lifetime(state: RunState, attempt: AttemptState, born_s: float) -> None:
    stage = next_lifetime(state.tasks[attempt.id.task_id].task, state.rules.watchdog, warned=False)
    if stage is not None:
        state.timers.set(lifetime_timer(attempt.id), born_s + stage[0])


def _wave_is_out_of_time(state: RunState, attempt: AttemptState) -> bool:
    return state.waves[attempt.wave].rounds >= state.rules.max_attempts


_STOPPED = {
    StopReason.TIMEOUT: "it reached its timeout and was stopped",
    StopReason.CANCELLED: "the run was cancelled",
    StopReason.WATCHDOG: "the watchdog stopped it",
}
_STARTING = frozenset({AttemptPhase.INTENDED, AttemptPhase.STOPPING})
_UNFINISHED = frozenset({AttemptPhase.INTENDED, AttemptPhase.RUNNING, AttemptPhase.STOPPING})
_KNOWN_TO_EXIST = frozenset({AttemptPhase.RUNNING, AttemptPhase.STOPPING})

# -- apply --


def start_intended(state: RunState, fact: facts.StartIntended) -> None:
    entry = state.tasks[fact.attempt.task_id]
    if entry.status is not TaskStatus.PENDING or fact.attempt.number != entry.attempts + 1:
        raise InvariantBroken(f"attempt {fact.attempt} cannot start: its task is {entry.status}")
    free = state.free[fact.node]
    room = Resources(free.memory_bytes - fact.held.memory_bytes, free.milli_cpus - fact.held.milli_cpus)
    if room.memory_bytes < 0:
        raise InvariantBroken(f"attempt {fact.attempt} would hold more memory than the budget has")
    state.free[fact.node] = room
    entry.status = TaskStatus.ACTIVE
    entry.attempts = fact.attempt.number
    state.pending -= 1
    state.starting += 1
    state.timers.clear(TimerKey(TimerKind.BACKOFF, entry.task.id))
    wave = state.waves[entry.task.wave]
    wave.live += 1
    wave.running += 1
    state.live[fact.attempt] = AttemptState(fact.attempt, wave.number, fact.node, fact.held, fact.at_s)


def attempt_started(state: RunState, fact: facts.AttemptStarted) -> None:
    attempt = _live(state, fact.attempt)
    if attempt.handle is None:
        state.starting -= 1
    attempt.handle = fact.handle
    if attempt.phase is AttemptPhase.INTENDED:
        _move(attempt, AttemptPhase.RUNNING)
        if fact.deadline_s is not None:
            state.timers.set(_timer(fact.attempt), fact.deadline_s)
        if fact.born_s is not None:
            _set_lifetime(state, attempt, fact.born_s)


def stop_intended(state: RunState, fact: facts.StopIntended) -> None:
    attempt = _live(state, fact.attempt)
    _clear_timers(state, fact.attempt)
    attempt.stop_reason = attempt.stop_reason or fact.reason
    attempt.finding = attempt.finding or fact.finding
    if attempt.phase is not AttemptPhase.STOPPING:
        _move(attempt, AttemptPhase.STOPPING)


def attempt_exited(state: RunState, fact: facts.AttemptExited) -> None:
    attempt = _live(state, fact.attempt)
    if attempt.handle is None:
        state.starting -= 1
    _move(attempt, AttemptPhase.EXITED)
    attempt.ending = fact.ending
    _clear_timers(state, fact.attempt)
    if not _holds_to_its_end(state, attempt):
        _free(state, attempt)
    wave = state.waves[attempt.wave]
    wave.running -= 1
    state.wake(parallelism_key(wave.number), _free_slots(state, wave.number))


def attempt_settled(state: RunState, fact: facts.AttemptSettled) -> None:
    attempt = _live(state, fact.attempt)
    _move(attempt, AttemptPhase.SETTLED)
    attempt.verdict = fact.verdict.kind
    entry = state.tasks[fact.attempt.task_id]
    entry.verdict = fact.verdict.kind
    if fact.verdict.kind is VerdictKind.LOST:
        entry.may_repeat = True
    elif fact.verdict.kind is VerdictKind.RATE_LIMITED:
        entry.rate_limited += 1
    elif fact.verdict.kind is VerdictKind.SUCCESS and entry.task.agent is not None:
        note_success(state, entry.task.agent.pays)
    state.spending.settle(fact.attempt, fact.agent)
    if attempt.ending is not None and attempt.ending.transient:
        entry.transient_starts += 1
    attempt.ending = None


def attempt_removed(state: RunState, fact: facts.AttemptRemoved) -> None:
    attempt = _live(state, fact.attempt)
    _move(attempt, AttemptPhase.REMOVED)
    if _holds_to_its_end(state, attempt):
        _free(state, attempt)
    del state.live[fact.attempt]
    wave = state.waves[attempt.wave]
    wave.live -= 1
    state.note_if_ripe(wave)
    if fact.problem is not None:
        state.left_behind.append(fact.problem)


def task_requeued(state: RunState, fact: facts.TaskRequeued) -> None:
    entry = state.tasks[fact.task_id]
    entry.status = TaskStatus.PENDING
    state.pending += 1
    state.timers.set(TimerKey(TimerKind.BACKOFF, fact.task_id), fact.not_before_s)
    state.requeue(entry)


def task_settled(state: RunState, fact: facts.TaskSettled) -> None:
    _finish(state, state.tasks[fact.task_id])


def task_skipped(state: RunState, fact: facts.TaskSkipped) -> None:
    entry = state.tasks[fact.task_id]
    if entry.status is not TaskStatus.PENDING:
        raise InvariantBroken(f"task {fact.task_id!r} cannot be skipped: it is {entry.status}")
    state.pending -= 1
    entry.verdict = entry.verdict or VerdictKind.SKIPPED  # one that waited to be retried keeps its last
    state.timers.clear(TimerKey(TimerKind.BACKOFF, fact.task_id))
    entry.excused = entry.excused or any(state.tasks[needed].excused for needed in entry.task.depends_on)
    _finish(state, entry)
    state.wake(parallelism_key(entry.task.wave), _free_slots(state, entry.task.wave))


def _finish(state: RunState, entry: TaskState) -> None:
    entry.status = TaskStatus.FINAL
    wave = state.waves[entry.task.wave]
    wave.unsettled -= 1
    if entry.verdict is not None:
        state.verdicts[entry.verdict] += 1
    if entry.verdict is VerdictKind.SUCCESS:
        entry.cancelled = entry.excused = False  # it was faster
    else:
        state.failures += 1
        wave.failures += 1
        wave.excused += entry.excused
    state.note_if_ripe(wave)
    state.wake(dependency_key(entry.task.id))


def _holds_to_its_end(state: RunState, attempt: AttemptState) -> bool:
    """Sidecars run on until they are removed with it; a clone's work is brought back in a container of its size."""
    task = state.tasks[attempt.id.task_id].task
    return bool(task.sidecars) or state.run.surroundings.workspace_kind is WorkspaceKind.CLONE


def _free(state: RunState, attempt: AttemptState) -> None:
    free = state.free[attempt.node]
    state.free[attempt.node] = Resources(
        free.memory_bytes + attempt.held.memory_bytes, free.milli_cpus + attempt.held.milli_cpus
    )


def _free_slots(state: RunState, number: int) -> int | None:
    wave = state.waves[number]
    return None if wave.parallelism is None else max(0, wave.parallelism - wave.running)


def _live(state: RunState, attempt: AttemptId) -> AttemptState:
    found = state.live.get(attempt)
    if found is None:
        raise InvariantBroken(f"attempt {attempt} is not live")
    return found


def _move(attempt: AttemptState, phase: AttemptPhase) -> None:
    if phase not in ATTEMPT_TRANSITIONS[attempt.phase]:
        raise InvariantBroken(f"attempt {attempt.id} cannot go from {attempt.phase} to {phase}")
    attempt.phase = phase


def lifetime_timer(attempt: AttemptId) -> TimerKey:
    """The key of its next lifetime, soft or hard."""
    return TimerKey(TimerKind.LIFETIME, attempt)


def _clear_timers(state: RunState, attempt: AttemptId) -> None:
    state.timers.clear(_timer(attempt))
    state.timers.clear(lifetime_timer(attempt))


def _timer(attempt: AttemptId) -> TimerKey:
    return TimerKey(TimerKind.ATTEMPT, attempt)
