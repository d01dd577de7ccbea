"""What the engine must do because of a fact. Each action is safe to repeat: after a crash it is done again.

`actions(fact)` serves the live loop; `outstanding(state)` finds, after a replay, those that were not seen to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wavepool.core import facts
from wavepool.core.facts import Fact
from wavepool.core.state import RunState
from wavepool.model import AttemptId, AttemptPhase, Handle, StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareWave:
    """Make what the wave needs: its own network where the run isolates waves."""

    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseWave:
    """Remove what was made for the wave."""

    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Start it, at most once ever."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAttempt:
    """Stop it: SIGTERM, and SIGKILL after `grace_s`."""

    attempt: AttemptId
    handle: Handle
    reason: StopReason
    grace_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLogs:
    """Read its logs into the run's artifacts."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveAttempt:
    """Remove what is left of it."""

    attempt: AttemptId


Action = PrepareWave | ReleaseWave | StartAttempt | StopAttempt | ArchiveLogs | RemoveAttempt


def actions(fact: Fact) -> tuple[Action, ...]:
    """What must be done because of `fact`; most facts ask for nothing."""
    wanted = _ACTIONS.get(type(fact))
    return wanted(fact) if wanted is not None else ()


def outstanding(state: RunState) -> list[Action]:
    """What a replayed run had under way, by the phase of each live attempt and wave.

    An attempt whose stop was intended before its start was known gets nothing here: the watch tells whether it
    exists, and it must not be started only to be stopped.
    """
    found: list[Action] = [PrepareWave(wave=w.number) for w in state.open_waves() if not w.prepared]
    for attempt in state.live.values():
        if attempt.phase is AttemptPhase.INTENDED:
            found.append(StartAttempt(attempt=attempt.id))
        elif attempt.phase is AttemptPhase.STOPPING and attempt.handle is not None and attempt.stop_reason is not None:
            found.append(
                StopAttempt(
                    attempt=attempt.id,
                    handle=attempt.handle,
                    reason=attempt.stop_reason,
                    grace_s=state.rules.grace_s,
                )
            )
        elif attempt.phase is AttemptPhase.EXITED:
            found.append(ArchiveLogs(attempt=attempt.id))
        elif attempt.phase is AttemptPhase.SETTLED:
            found.append(RemoveAttempt(attempt=attempt.id))
    return found


def _wave_opened(fact: facts.WaveOpened) -> tuple[Action, ...]:
    return (PrepareWave(wave=fact.wave),)


def _wave_settled(fact: facts.WaveSettled) -> tuple[Action, ...]:
    return (ReleaseWave(wave=fact.wave),)


def _start_intended(fact: facts.StartIntended) -> tuple[Action, ...]:
    return (StartAttempt(attempt=fact.attempt),)


def _stop_intended(fact: facts.StopIntended) -> tuple[Action, ...]:
    if fact.handle is None:
        return ()
    return (StopAttempt(attempt=fact.attempt, handle=fact.handle, reason=fact.reason, grace_s=fact.grace_s),)


def _attempt_exited(fact: facts.AttemptExited) -> tuple[Action, ...]:
    return (ArchiveLogs(attempt=fact.attempt),) if fact.archive else ()


def _attempt_settled(fact: facts.AttemptSettled) -> tuple[Action, ...]:
    return (RemoveAttempt(attempt=fact.attempt),)


_ACTIONS: Mapping[type, Callable[..., tuple[Action, ...]]] = {
    facts.WaveOpened: _wave_opened,
    facts.WaveSettled: _wave_settled,
    facts.StartIntended: _start_intended,
    facts.StopIntended: _stop_intended,
    facts.AttemptExited: _attempt_exited,
    facts.AttemptSettled: _attempt_settled,
}
