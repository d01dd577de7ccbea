"""Replay a journal, and say what must be done first when another process goes on."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import anyio.lowlevel

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
from wavepool.engine.listener import Listener, tell
from wavepool.errors import InvariantBroken
from wavepool.journal.base import Journal
from wavepool.model import AttemptPhase

PIECE = 1000
"""Facts that are taken up at a time; a few milliseconds' work."""

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
    pass_ = _Pass()
    for entry in stamped:
        pass_.take(entry)
    return pass_.result()


async def take_up(journal: Journal, listeners: Sequence[Listener] = ()) -> Replayed | None:
    """As `replay`, and the listeners are told: one pass, in pieces, so that Ctrl-C and screens have their turn.

    Raises:
        JournalError: it is damaged.
        InvariantBroken: the facts do not follow from one another.
    """
    pass_ = _Pass()
    stamped = journal.replay()
    with _collector_paused():
        while piece := list(islice(stamped, PIECE)):
            for entry in piece:
                pass_.take(entry)
            tell(listeners, piece)
            await anyio.lowlevel.checkpoint()
    return pass_.result()


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A pass makes objects by the million, and no cycles of them: to look for these takes a third of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Pass:
    """One way through a journal, fact by fact."""

    __slots__ = ("_boot_id", "_last", "_state")

    def __init__(self) -> None:
        self._state: RunState | None = None
        self._boot_id = ""
        self._last: Stamped | None = None

    def take(self, stamped: Stamped) -> None:
        fact = stamped.fact
        self._last = stamped
        if self._state is None:
            if not isinstance(fact, RunOpened):
                raise InvariantBroken(f"a journal begins with {type(fact).__name__}")
            self._state, self._boot_id = decide.open_run(fact), fact.boot_id
            return
        decide.apply(self._state, fact)
        if isinstance(fact, RunResumed):
            self._boot_id = fact.boot_id

    def result(self) -> Replayed | None:
        if self._state is None or self._last is None:
            return None
        return Replayed(state=self._state, last=self._last, boot_id=self._boot_id)


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
