"""For which attempts a warm run parks containers, and which of these it gives up. Looks only; no fact comes of it.

A parked container is no attempt yet: what is parked is told by the caller, and the budget keeps room for the most that
there may be (`Rules.for_attempts`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

from wavepool.core.gates.dependencies import dependency_key
from wavepool.core.gates.parallelism import parallelism_key
from wavepool.core.state import RunState, TaskState, TaskStatus
from wavepool.core.timers import TimerKind, backoff_timer
from wavepool.model import AttemptId, Isolation, PressureLevel, Schedule, Task

LOOKED_AT = 8
"""So many tasks are looked at for each container that may be parked: thousands may stand in front that do not suit."""


class Suits(Protocol):
    """Whether a container can be parked for that attempt at all."""

    def __call__(self, attempt: AttemptId, task: Task) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Start a container ahead for this attempt."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """The container that is parked for this attempt is not wanted any more, or not now: remove it."""

    attempt: AttemptId


def next_step(
    state: RunState, parked: Collection[AttemptId], busy: Collection[AttemptId], suits: Suits
) -> Park | GiveUp | None:
    """What is to be done next; None where all is as it should be.

    Args:
        parked: attempts that have a container, also those that are being made, claimed or removed: they all count.
        busy: those of them that are being made or removed.
        suits: for tasks that stay cold.
    """
    idle = [attempt for attempt in parked if attempt not in busy and attempt not in state.live]
    for attempt in idle:
        if not _may_come(state, attempt):
            return GiveUp(attempt=attempt)
    if any(not wave.prepared for wave in state.open_waves()):
        return None  # its first tasks start as soon as it is
    wanted = upcoming(state, suits)
    missing = next((attempt for attempt in wanted if attempt not in parked), None)
    if missing is None:
        return None
    if len(parked) < state.rules.warm:
        return Park(attempt=missing)
    later = [attempt for attempt in idle if attempt not in wanted]
    if not later:
        return None
    return GiveUp(attempt=max(later, key=lambda attempt: _rank(state, state.tasks[attempt.task_id])))


def upcoming(state: RunState, suits: Suits) -> list[AttemptId]:
    """The attempts that will be started next, as far as that can be known: at most `rules.warm`, the nearest first.

    None while the run is paused or the host is short of memory: what is parked stays, and nothing is added to it.
    """
    is_short = state.rules.ramp and state.ramp.level is PressureLevel.FULL
    if _starts_nothing(state) or state.course.paused is not None or is_short:
        return []
    most = state.rules.warm
    found: dict[int, TaskState] = {}
    ready = islice(state.coming(), most * LOOKED_AT)
    for entries in (ready, _waiting(state, most)):
        fitting = (entry for entry in entries if _is_near(state, entry) and suits(_next_attempt(entry), entry.task))
        found.update((entry.index, entry) for entry in islice(fitting, most))
    ranked = sorted(found.values(), key=lambda entry: _rank(state, entry))
    return [_next_attempt(entry) for entry in ranked[:most]]


def _waiting(state: RunState, most: int) -> Iterator[TaskState]:
    """Tasks whose wait may soon be over: for a backoff, for a task that runs, for a place in their wave."""
    backoffs = (state.tasks[str(task_id)] for task_id in state.timers.subjects(TimerKind.BACKOFF))
    keys = chain(
        (dependency_key(attempt.task_id) for attempt in state.live),
        (parallelism_key(number) for number in islice(state.open, most)),
    )
    return chain(backoffs, (entry for key in keys for entry in state.waiting_for(key, most)))


def _is_near(state: RunState, entry: TaskState) -> bool:
    """False where more must happen before its start than that tasks end which run now, and waves with them."""
    if entry.status is not TaskStatus.PENDING:
        return False
    if any(state.tasks[needed].status is TaskStatus.PENDING for needed in entry.task.depends_on):
        return False
    if state.rules.isolation is Isolation.WAVE and not _has_network_soon(state, entry.task.wave):
        return False
    current = state.current_wave()
    stops_after = state.rules.schedule is Schedule.BARRIER and not state.rules.keep_going and current is not None
    return not (stops_after and current is not None and current.stops_the_run and entry.task.wave != current.number)


def _has_network_soon(state: RunState, number: int) -> bool:
    """Networks are made ahead for one wave only: each takes its addresses from the host."""
    if number in state.open:
        return True
    ahead = islice(state.wave_order, state.first_open, None)
    return number == next((each for each in ahead if not state.waves[each].opened), None)


def _may_come(state: RunState, attempt: AttemptId) -> bool:
    entry = state.tasks[attempt.task_id]
    return entry.status is TaskStatus.PENDING and attempt.number == entry.attempts + 1 and not _starts_nothing(state)


def _starts_nothing(state: RunState) -> bool:
    return state.course.is_ending


def _rank(state: RunState, entry: TaskState) -> tuple[int, bool, int]:
    """Smaller starts sooner. Waves first where they are barriers; then what waits for nothing but room."""
    waits = (
        state.timers.is_set(backoff_timer(entry.task.id))
        or any(state.tasks[needed].status is not TaskStatus.FINAL for needed in entry.task.depends_on)
        or _wave_is_full(state, entry.task.wave)
    )
    wave = entry.task.wave if state.rules.schedule is Schedule.BARRIER else 0
    return wave, waits, entry.index


def _wave_is_full(state: RunState, number: int) -> bool:
    wave = state.waves[number]
    return wave.parallelism is not None and wave.running >= wave.parallelism


def _next_attempt(entry: TaskState) -> AttemptId:
    return AttemptId(entry.task.id, entry.attempts + 1)
