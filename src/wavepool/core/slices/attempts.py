"""Slice: one attempt from the intention to start it until nothing of it is left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wavepool.core import events, facts
from wavepool.core.events import Now
from wavepool.core.facts import Fact
from wavepool.core.gates.parallelism import wake_for_slots
from wavepool.core.retry import backoff_s, may_retry
from wavepool.core.slices.accounts import note_success, pause
from wavepool.core.slices.tasks import after_failure
from wavepool.core.softlimits import next_lifetime
from wavepool.core.state import AttemptState, RunState, TaskStatus
from wavepool.core.stopping import intended_stop
from wavepool.core.timers import attempt_timer, backoff_timer, lifetime_timer
from wavepool.core.verdicts import verdict_of, with_sidecars
from wavepool.errors import InvariantBroken
from wavepool.model import (
    ATTEMPT_TRANSITIONS,
    AgentReport,
    AttemptId,
    AttemptPhase,
    Changes,
    Ending,
    Evidence,
    LogRecord,
    Resources,
    Schedule,
    VerdictKind,
    WorkspaceKind,
)

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
        yield intended_stop(state, attempt, attempt.stop_reason, attempt.finding)


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
        state, attempt, with_sidecars(attempt.ending, event.sidecars), event.log, now, event.agent, event.changes
    )


def on_cleared(state: RunState, event: events.Cleared, now: Now) -> Iterator[Fact]:
    """Nothing is left of it, or what is left is known."""
    attempt = state.attempt(event.attempt)
    if attempt is not None and attempt.phase is AttemptPhase.SETTLED:
        yield facts.AttemptRemoved(
            attempt=event.attempt, problem=event.problem, kept=event.kept, not_kept=event.not_kept
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
    verdict = verdict_of(attempt, entry, ending, log, agent)
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
        yield from after_failure(state, entry, verdict)


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
    state.timers.clear(backoff_timer(entry.task.id))
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
            state.timers.set(attempt_timer(fact.attempt), fact.deadline_s)
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
    wake_for_slots(state, wave.number)


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


def _holds_to_its_end(state: RunState, attempt: AttemptState) -> bool:
    """Sidecars run on until they are removed with it; a clone's work is brought back in a container of its size."""
    task = state.tasks[attempt.id.task_id].task
    return bool(task.sidecars) or state.run.surroundings.workspace_kind is WorkspaceKind.CLONE


def _free(state: RunState, attempt: AttemptState) -> None:
    free = state.free[attempt.node]
    state.free[attempt.node] = Resources(
        free.memory_bytes + attempt.held.memory_bytes, free.milli_cpus + attempt.held.milli_cpus
    )


def _live(state: RunState, attempt: AttemptId) -> AttemptState:
    found = state.live.get(attempt)
    if found is None:
        raise InvariantBroken(f"attempt {attempt} is not live")
    return found


def _move(attempt: AttemptState, phase: AttemptPhase) -> None:
    if phase not in ATTEMPT_TRANSITIONS[attempt.phase]:
        raise InvariantBroken(f"attempt {attempt.id} cannot go from {attempt.phase} to {phase}")
    attempt.phase = phase


def _clear_timers(state: RunState, attempt: AttemptId) -> None:
    state.timers.clear(attempt_timer(attempt))
    state.timers.clear(lifetime_timer(attempt))
