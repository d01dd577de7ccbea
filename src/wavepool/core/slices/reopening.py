"""Slice: tasks that are tried again by hand (`wavepool retry`), though their verdicts were final; of a run that has
ended, or that goes on with others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from wavepool.core import events, facts
from wavepool.core.events import Now
from wavepool.core.facts import Fact
from wavepool.core.state import RunState, TaskState, TaskStatus
from wavepool.core.timers import backoff_timer
from wavepool.model import VerdictKind

# -- decide --


def on_reopened(state: RunState, event: events.Reopened, now: Now) -> Iterator[Fact]:
    """The chosen tasks, and all that had no attempt and can have one now."""
    again = tuple(entry.task.id for entry in waiting_for(state, event.tasks))
    if event.tasks or again:
        yield facts.RunReopened(tasks=event.tasks, waiting=again, live=event.live, at=now.utc)


def failed_tasks(state: RunState) -> Iterator[str]:
    """The tasks that had an attempt, or were cancelled, and did not succeed, in the order of the plan."""
    return (entry.task.id for entry in state.order if _failed(entry))


def waiting_for(state: RunState, chosen: Collection[str]) -> list[TaskState]:
    """Skipped tasks that nothing stands in the way of once the `chosen` ones are pending again, in plan order.

    In the way stands a dependency that failed or was cancelled and is not chosen, or one that waits for such a one.
    """
    chosen = frozenset(chosen)
    blocked: set[str] = set()
    failed = [entry.task.id for entry in state.order if _failed(entry) and entry.task.id not in chosen]
    while failed:
        for dependent in state.dependents.get(failed.pop(), ()):
            if dependent not in blocked and dependent not in chosen:
                blocked.add(dependent)
                failed.append(dependent)
    return [
        entry
        for entry in state.order
        if _skipped(entry) and entry.task.id not in blocked and entry.task.id not in chosen
    ]


def _failed(entry: TaskState) -> bool:
    had_its_turn = entry.attempts > 0 or entry.cancelled
    return entry.status is TaskStatus.FINAL and had_its_turn and entry.verdict is not VerdictKind.SUCCESS


def _skipped(entry: TaskState) -> bool:
    return entry.status is TaskStatus.FINAL and entry.attempts == 0 and not entry.cancelled


# -- apply --


def run_reopened(state: RunState, fact: facts.RunReopened) -> None:
    """As if these tasks had not ended: their waves are opened anew, in order, and every count is made again."""
    for task_id in fact.tasks:
        entry = state.tasks[task_id]
        entry.forgiven, entry.transient_starts, entry.rate_limited = entry.attempts, 0, 0
    state.spending.forgive()
    _make_pending(state, (*fact.tasks, *fact.waiting))
    state.course.take(fact)
    _count_again(state)


def _make_pending(state: RunState, tasks: Iterable[str]) -> None:
    for task_id in tasks:
        entry = state.tasks[task_id]
        entry.status = TaskStatus.PENDING
        entry.cancelled = entry.excused = False
        if entry.attempts == 0:
            entry.verdict = None  # it was skipped
        state.timers.clear(backoff_timer(task_id))
        state.requeue(entry)
        state.reopen_wave(entry.task.wave)
    state.wake_all()


def _count_again(state: RunState) -> None:
    """O(tasks); a run that ended did not count what it never reached in its wave."""
    state.pending = state.failures = 0
    state.verdicts.clear()
    for wave in state.waves.values():
        wave.unsettled = wave.failures = wave.excused = 0
    for entry in state.order:
        wave = state.waves[entry.task.wave]
        if entry.status is TaskStatus.FINAL:
            if entry.verdict is not None:
                state.verdicts[entry.verdict] += 1
            failed = entry.verdict is not VerdictKind.SUCCESS
            state.failures += failed
            wave.failures += failed
            wave.excused += failed and entry.excused
        else:
            wave.unsettled += 1
            state.pending += entry.status is TaskStatus.PENDING
    for wave in list(state.open_waves()):
        state.note_if_ripe(wave)
