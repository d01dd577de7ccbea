"""What a run would do: the very actions, each with the fact that causes it, if every task succeeded at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from wavepool.core import actions, decide, events, facts
from wavepool.core.actions import Action
from wavepool.core.events import Event, Now
from wavepool.core.facts import Fact
from wavepool.core.state import RunState
from wavepool.model import Ending, Evidence, Handle, LogRecord, VerdictKind

_SUCCESS = Ending(kind=VerdictKind.SUCCESS, evidence=Evidence(exit_code=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One action, the fact that causes it, and what the budget then holds."""

    action: Action
    cause: Fact
    memory_held_bytes: int


def rehearse(opened: events.Opened, now: Now) -> Iterator[Planned]:
    """Drive the core through the whole run without doing anything. Attempts end in the order in which they start."""
    state = decide.open_run(opened.run)
    ahead: deque[Event] = deque([opened, events.Advance()])
    while state.outcome is None:
        event = ahead.popleft() if ahead else events.Advance()
        for fact in decide.decide(state, event, now):
            decide.apply(state, fact)
            for action in actions.actions(fact):
                yield Planned(action=action, cause=fact, memory_held_bytes=state.memory_held_bytes())
                ahead.extend(_outcome(state, action))
        if not ahead and not isinstance(event, events.Advance):
            ahead.append(events.Advance())


def _outcome(state: RunState, action: Action) -> Iterator[Event]:
    match action:
        case actions.PrepareWave():
            yield events.WaveReady(wave=action.wave)
        case actions.StartAttempt():
            handle = Handle(driver=state.run.driver, id="", name="", attempt=action.attempt)
            yield events.Running(attempt=action.attempt, handle=handle, started_at=None)
            yield events.Advance()  # whatever fits beside it starts before it ends
            yield events.Ended(attempt=action.attempt, handle=handle, ending=_SUCCESS)
        case actions.ArchiveLogs():
            yield events.Archived(attempt=action.attempt, log=LogRecord())
        case actions.RemoveAttempt():
            yield events.Cleared(attempt=action.attempt)
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
