"""Which verdict is tried again, and when."""

from __future__ import annotations

from wavepool.core.state import RunState, TaskState
from wavepool.model import Verdict, VerdictKind

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 30.0


def may_retry(state: RunState, entry: TaskState, verdict: Verdict, *, transient: bool) -> str | None:
    """Why another attempt follows, None if none does.

    Three allowances, counted apart: `max_attempts` for the verdicts of the policy, `start_retries` for start errors of
    the infrastructure that may pass by themselves, and `rate_limit_retries` for accounts that had no more to give. A
    run that drains still puts the task back: a resume goes on from there.
    """
    if verdict.succeeded or verdict.kind is VerdictKind.CANCELLED or state.course.stopped is not None:
        return None
    if transient and entry.transient_starts <= state.rules.start_retries:
        return f"start error that may pass ({entry.transient_starts} of {state.rules.start_retries} repeats)"
    if verdict.kind is VerdictKind.RATE_LIMITED and entry.rate_limited <= state.rules.rate_limit_retries:
        return f"its account had no more to give ({entry.rate_limited} of {state.rules.rate_limit_retries} repeats)"
    free = min(entry.transient_starts, state.rules.start_retries)
    free += min(entry.rate_limited, state.rules.rate_limit_retries)
    counted = entry.attempts - entry.forgiven - free
    if verdict.kind in state.rules.retry_on and counted < state.rules.max_attempts:
        return f"{verdict.kind} (attempt {counted} of {state.rules.max_attempts})"
    return None


def backoff_s(attempts: int) -> float:
    """Seconds before the next attempt after `attempts` of them: 1, 2, 4, ... up to 30."""
    return min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** max(0, min(attempts, 16) - 1))
