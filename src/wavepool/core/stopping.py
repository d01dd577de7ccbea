"""Why an attempt is stopped before its own end, and with which grace."""

from __future__ import annotations

from collections.abc import Iterator

from wavepool.core import facts
from wavepool.core.facts import Fact
from wavepool.core.state import AttemptState, RunState
from wavepool.model import AttemptId, AttemptPhase, Finding, StopReason

KILL_GRACE_S = 1.0
"""Between SIGTERM and SIGKILL when the user interrupts twice."""


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
            yield intended_stop(state, live, live.stop_reason, live.finding)
    else:
        yield from _stop(state, attempt, StopReason.CANCELLED)


def _stop(state: RunState, attempt_id: AttemptId, reason: StopReason, finding: Finding | None = None) -> Iterator[Fact]:
    attempt = state.attempt(attempt_id)
    if attempt is not None and attempt.phase in (AttemptPhase.INTENDED, AttemptPhase.RUNNING):
        yield intended_stop(state, attempt, reason, finding)


def intended_stop(
    state: RunState, attempt: AttemptState, reason: StopReason, finding: Finding | None = None
) -> facts.StopIntended:
    """The fact of a stop: with the run's grace, or what is left of it where the user will not wait."""
    grace_s = min(KILL_GRACE_S, state.rules.grace_s) if state.course.forced else state.rules.grace_s
    return facts.StopIntended(
        attempt=attempt.id, reason=reason, grace_s=grace_s, handle=attempt.handle, finding=finding
    )
