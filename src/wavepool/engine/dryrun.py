"""What a run would do: the very actions, each with the fact that causes it, if every task succeeded.

In virtual time: an attempt lasts as long as the caller says, and the core decides at each instant as it would.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import NamedTuple

from wavepool.core import actions, decide, events, facts
from wavepool.core.actions import Action
from wavepool.core.events import Event, Now
from wavepool.core.facts import Fact
from wavepool.core.state import RunState
from wavepool.model import AttemptId, Ending, Evidence, Handle, LogRecord, VerdictKind

_SUCCESS = Ending(kind=VerdictKind.SUCCESS, evidence=Evidence(exit_code=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One action, the fact that causes it, what the budget then holds, and when: seconds from the run's beginning."""

    action: Action
    cause: Fact
    memory_held_bytes: int
    at_s: float


class Lasting(NamedTuple):
    """Seconds from the decision to start an attempt until it runs, until it ends, and until its verdict."""

    start_s: float = 0.0
    run_s: float = 0.0
    end_s: float = 0.0


def at_once(attempt: AttemptId) -> Lasting:
    """Nothing takes any time: attempts end in the order in which they start."""
    return Lasting()


class _Agenda:
    """Events to come, the earliest first, and of one instant those first that were put in first."""

    def __init__(self) -> None:
        self._ahead: list[tuple[float, int, Event]] = []
        self._numbers = count()
        self.now_s = 0.0

    def put(self, in_s: float, event: Event) -> None:
        heapq.heappush(self._ahead, (self.now_s + in_s, next(self._numbers), event))

    def take(self) -> Event:
        """The next event; the clock jumps to it. To look again where there is none."""
        if not self._ahead:
            return events.Advance()
        self.now_s, _, event = heapq.heappop(self._ahead)
        return event

    def has_more_now(self) -> bool:
        return bool(self._ahead) and self._ahead[0][0] <= self.now_s


def rehearse(opened: events.Opened, now: Now, lasting: Callable[[AttemptId], Lasting] = at_once) -> Iterator[Planned]:
    """Drive the core through the whole run without doing anything.

    Args:
        opened: the run.
        now: when it would begin.
        lasting: how long each attempt takes.
    """
    state = decide.open_run(opened.run)
    agenda = _Agenda()
    agenda.put(0.0, opened)
    agenda.put(0.0, events.Advance())
    while state.outcome is None:
        event = agenda.take()
        moment = Now(now.boot_s + agenda.now_s, now.utc + timedelta(seconds=agenda.now_s))
        for fact in decide.decide(state, event, moment):
            decide.apply(state, fact)
            for action in actions.actions(fact):
                held_bytes = state.memory_held_bytes()
                yield Planned(action=action, cause=fact, memory_held_bytes=held_bytes, at_s=agenda.now_s)
                for in_s, answer in _outcome(state, action, lasting):
                    agenda.put(in_s, answer)
        if not agenda.has_more_now() and not isinstance(event, events.Advance):
            agenda.put(0.0, events.Advance())


def _outcome(state: RunState, action: Action, lasting: Callable[[AttemptId], Lasting]) -> Iterator[tuple[float, Event]]:
    match action:
        case actions.PrepareWave():
            yield 0.0, events.WaveReady(wave=action.wave)
        case actions.StartAttempt():
            start_s, run_s, _ = lasting(action.attempt)
            handle = Handle(driver=state.run.driver, id="", name="", attempt=action.attempt)
            yield start_s, events.Running(attempt=action.attempt, handle=handle, started_at=None)
            yield start_s, events.Advance()  # whatever fits beside it starts before it ends
            yield start_s + run_s, events.Ended(attempt=action.attempt, handle=handle, ending=_SUCCESS)
        case actions.ArchiveLogs():
            yield lasting(action.attempt).end_s, events.Archived(attempt=action.attempt, log=LogRecord())
        case actions.RemoveAttempt():
            yield 0.0, events.Cleared(attempt=action.attempt)
        case _:
            pass


def cause_of(fact: Fact) -> str:
    """One short sentence for a person: why the action follows."""
    match fact:
        case facts.WaveOpened():
            return f"wave {fact.wave} opens"
        case facts.WaveSettled():
            return f"every task of wave {fact.wave} is final and removed"
        case facts.StartIntended():
            return f"attempt {fact.attempt.number} passed every gate and fits the budget"
        case facts.AttemptExited():
            return "it ended"
        case facts.AttemptSettled():
            return f"its verdict is in the journal: {fact.verdict.kind}"
        case _:
            return type(fact).__name__
