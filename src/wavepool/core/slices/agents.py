"""Slice: what agents say while they work and at their end, and what their budgets make of it."""

from __future__ import annotations

from collections.abc import Iterator

from wavepool.core import events, facts, stopping
from wavepool.core.events import Now
from wavepool.core.facts import Fact
from wavepool.core.slices import attempts
from wavepool.core.slices.accounts import pause
from wavepool.core.softlimits import advice, measured
from wavepool.core.spending import Spent
from wavepool.core.state import RunState
from wavepool.model import AgentEventKind, AttemptPhase, Finding, WatchdogRule

# -- decide --


def on_spoke(state: RunState, event: events.Spoke, now: Now) -> Iterator[Fact]:
    """It has used so much by now; or its account has no more. Of an attempt that has ended its report tells."""
    attempt, said = state.attempt(event.attempt), event.said
    order = state.tasks[event.attempt.task_id].task.agent if attempt is not None else None
    if attempt is None or order is None or attempt.phase not in _AT_WORK:
        return
    if said.kind is AgentEventKind.RATE_LIMITED:
        yield from pause(state, order.pays, said.resets_at, said.text, now)
    # No fact: a reading counts while the attempt lives, and whoever goes on with the run reads it again.
    spent = state.spending.read(event.attempt, said.cost_usd, said.tokens)
    finding = _above(spent, order.max_cost_usd, order.max_tokens)
    if finding is not None:
        yield from stopping.stop_for_watchdog(state, event.attempt, finding)
    yield from _check_run(state)


def on_archived(state: RunState, event: events.Archived, now: Now) -> Iterator[Fact]:
    """The verdict; and many an agent tells only now what it has cost: nothing is left to stop then, but to tell."""
    yield from _told_at_end(state, event, now)
    yield from attempts.on_archived(state, event, now)
    if event.agent is not None:
        yield from _check_run(state)
        yield from _run_told_at_end(state, event, now)


def _told_at_end(state: RunState, event: events.Archived, now: Now) -> Iterator[Fact]:
    """A warning where the attempt went above a bound of its own, and was not stopped for one."""
    attempt = state.attempt(event.attempt)
    order = state.tasks[event.attempt.task_id].task.agent if attempt is not None else None
    if attempt is None or order is None or event.agent is None:
        return
    if attempt.phase is not AttemptPhase.EXITED or attempt.finding is not None:
        return
    spent = Spent.by(state.spending.completed(event.attempt, event.agent))
    finding = _above(spent, order.max_cost_usd, order.max_tokens)
    if finding is not None:
        yield facts.WatchdogWarned(attempt=event.attempt, finding=finding, at=now.utc)


def _run_told_at_end(state: RunState, event: events.Archived, now: Now) -> Iterator[Fact]:
    """A warning where the last agent of the run told a cost above the run's bound: there was nothing left to stop."""
    attempt, rules = state.attempt(event.attempt), state.rules
    if attempt is None or attempt.finding is not None or state.course.stopped is not None or _goes_on(state):
        return
    finding = _above(state.spending.total(), rules.max_cost_usd, rules.max_tokens, whole_run=True)
    if finding is not None:
        yield facts.WatchdogWarned(attempt=event.attempt, finding=finding, at=now.utc)


def _check_run(state: RunState) -> Iterator[Fact]:
    """A run above its budget starts nothing more, and whatever runs is stopped."""
    rules = state.rules
    if rules.max_cost_usd is None and rules.max_tokens is None:
        return
    finding = _above(state.spending.total(), rules.max_cost_usd, rules.max_tokens, whole_run=True)
    if finding is None:
        return
    if state.course.stopped is None and _goes_on(state):
        yield facts.RunStopped(cause=f"{measured(finding)}: {advice(finding)}", infrastructure=False)
    for attempt in list(state.live):
        yield from stopping.stop_for_watchdog(state, attempt, finding)


def _goes_on(state: RunState) -> bool:
    """Something is left that a stop would keep from being spent; else the last agent of the run has told its cost."""
    return state.pending > 0 or any(attempt.phase in _AT_WORK for attempt in state.live.values())


def _above(
    spent: Spent, max_cost_usd: float | None, max_tokens: int | None, *, whole_run: bool = False
) -> Finding | None:
    if max_cost_usd is not None and spent.cost_usd > max_cost_usd:
        return Finding(rule=WatchdogRule.COST, reading=spent.cost_usd, threshold=max_cost_usd, whole_run=whole_run)
    if max_tokens is not None and spent.tokens > max_tokens:
        return Finding(rule=WatchdogRule.TOKENS, reading=spent.tokens, threshold=max_tokens, whole_run=whole_run)
    return None


_AT_WORK = frozenset({AttemptPhase.INTENDED, AttemptPhase.RUNNING, AttemptPhase.STOPPING})
