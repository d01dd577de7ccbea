"""Slice: what becomes of a soft limit that an attempt has crossed, and of a lifetime that is over."""

from __future__ import annotations

from collections.abc import Iterator

from wavepool.core import events, facts
from wavepool.core.events import Now
from wavepool.core.facts import Fact
from wavepool.core.softlimits import next_lifetime
from wavepool.core.state import RunState
from wavepool.core.stopping import stop_for_watchdog
from wavepool.core.timers import lifetime_timer
from wavepool.errors import InvariantBroken
from wavepool.model import Act, AttemptId, AttemptPhase, Finding, WatchdogRule

# -- decide --


def on_crossed(state: RunState, event: events.Crossed, now: Now) -> Iterator[Fact]:
    """Warn or stop. Of one that has ended, or that is being stopped already, nothing follows."""
    yield from _act(state, event.attempt, event.finding, event.act, now)


def on_lifetime(state: RunState, attempt_id: AttemptId, now: Now) -> Iterator[Fact]:
    """Its soft lifetime is over, or (once that was warned of) its hard one."""
    attempt = state.attempt(attempt_id)
    due_s = state.timers.deadline_s(lifetime_timer(attempt_id))
    if attempt is None or due_s is None:
        return
    stage = _stage(state, attempt_id)
    if stage is not None:
        threshold_s, act = stage
        reading_s = threshold_s + max(0.0, now.boot_s - due_s)
        finding = Finding(rule=WatchdogRule.LIFETIME, reading=reading_s, threshold=threshold_s)
        yield from _act(state, attempt_id, finding, act, now)


def _act(state: RunState, attempt_id: AttemptId, finding: Finding, act: Act, now: Now) -> Iterator[Fact]:
    attempt = state.attempt(attempt_id)
    if attempt is None or attempt.phase is not AttemptPhase.RUNNING:
        return
    if act is Act.STOP:
        yield from stop_for_watchdog(state, attempt_id, finding)
    else:
        yield facts.WatchdogWarned(attempt=attempt_id, finding=finding, at=now.utc)


def _stage(state: RunState, attempt_id: AttemptId) -> tuple[float, Act] | None:
    warned = WatchdogRule.LIFETIME in state.live[attempt_id].warned
    return next_lifetime(state.tasks[attempt_id.task_id].task, state.rules.watchdog, warned=warned)


# -- apply --


def watchdog_warned(state: RunState, fact: facts.WatchdogWarned) -> None:
    """After the soft lifetime the timer goes on to the hard one."""
    attempt = state.attempt(fact.attempt)
    if attempt is None:
        raise InvariantBroken(f"attempt {fact.attempt} is not live, and cannot be warned of")
    rule = fact.finding.rule
    if rule not in attempt.warned:
        attempt.warned = (*attempt.warned, rule)
    if rule is not WatchdogRule.LIFETIME:
        return
    timer = lifetime_timer(fact.attempt)
    due_s, following = state.timers.deadline_s(timer), _stage(state, fact.attempt)
    if due_s is None or following is None:
        state.timers.clear(timer)
    else:
        state.timers.set(timer, due_s + following[0] - fact.finding.threshold)
