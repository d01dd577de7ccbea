"""Replay a journal, and say what must be done first when another process goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wavepool.core import decide
from wavepool.core.actions import (
    Action,
    ArchiveLogs,
    PrepareWave,
    RemoveAttempt,
    StartAttempt,
    StopAttempt,
    outstanding,
)
from wavepool.core.events import Now
from wavepool.core.facts import Outcome, RunOpened, RunResumed, Stamped
from wavepool.core.state import RunState
from wavepool.model import AttemptPhase

_PHASE_OF = {
    StartAttempt: AttemptPhase.INTENDED,
    StopAttempt: AttemptPhase.STOPPING,
    ArchiveLogs: AttemptPhase.EXITED,
    RemoveAttempt: AttemptPhase.SETTLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A run as its journal tells it: the state, the last fact's stamp, and whose boot clock its deadlines are on."""

    state: RunState
    last: Stamped
    boot_id: str

    @property
    def is_over(self) -> bool:
        """True where nothing is left to be done, not even by a resume."""
        return self.state.outcome in (Outcome.SUCCESS, Outcome.FAILED)

    def shift_s(self, boot_id: str, now: Now) -> float:
        """How far the deadlines must move.

        0 on the same boot; on another so that the time that passed on UTC counts. After an interrupt nothing ran
        until now, so then the time in between counts for nobody.
        """
        if self.state.outcome is not None:
            return now.boot_s - self.last.boot_s
        if boot_id == self.boot_id:
            return 0.0
        passed_s = max(0.0, (now.utc - self.last.utc).total_seconds())
        return now.boot_s - self.last.boot_s - passed_s


def replay(stamped: Iterable[Stamped]) -> Replayed | None:
    """Apply every fact; None where the journal is empty (it died before its first commit).

    Raises:
        JournalError: from the journal, where it is damaged.
        InvariantBroken: the facts do not follow from one another.
    """
    state: RunState | None = None
    boot_id = ""
    last: Stamped | None = None
    for last in stamped:
        fact = last.fact
        if isinstance(fact, RunOpened):
            state, boot_id = decide.open_run(fact), fact.boot_id
        elif state is not None:
            decide.apply(state, fact)
            if isinstance(fact, RunResumed):
                boot_id = fact.boot_id
    if state is None or last is None:
        return None
    return Replayed(state=state, last=last, boot_id=boot_id)


def first_actions(state: RunState) -> tuple[list[Action], list[Action]]:
    """(what waves need before anything can start, what attempts had under way), after `RunResumed` was applied."""
    found = outstanding(state)
    waves: list[Action] = [action for action in found if isinstance(action, PrepareWave)]
    return waves, [action for action in found if not isinstance(action, PrepareWave)]


def still_wanted(state: RunState, action: Action) -> bool:
    """False where the watch has told meanwhile that the attempt is further than the journal knew."""
    phase = _PHASE_OF.get(type(action))
    if phase is None or not isinstance(action, StartAttempt | StopAttempt | ArchiveLogs | RemoveAttempt):
        return True
    live = state.attempt(action.attempt)
    return live is not None and live.phase is phase
