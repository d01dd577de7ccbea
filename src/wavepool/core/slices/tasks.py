"""Slice: what the end of a task means for those that wait for it, for its wave and for the run."""

from __future__ import annotations

from collections.abc import Iterator

from wavepool.core import facts
from wavepool.core.facts import Fact
from wavepool.core.gates.dependencies import dependency_key
from wavepool.core.gates.parallelism import wake_for_slots
from wavepool.core.state import RunState, TaskState, TaskStatus
from wavepool.core.timers import backoff_timer
from wavepool.errors import InvariantBroken
from wavepool.model import Schedule, Verdict, VerdictKind

# -- decide --


def after_failure(state: RunState, entry: TaskState, verdict: Verdict) -> Iterator[Fact]:
    """Dependents are skipped, theirs too. Without keep_going the run stops: rolling here, barrier at the wave's end."""
    yield from skip_dependents(state, entry.task.id, verdict.kind)
    stops = state.rules.schedule is Schedule.ROLLING and not state.rules.keep_going and state.course.stopped is None
    if stops and not entry.cancelled:
        yield facts.RunStopped(cause=f"task {entry.task.id!r} ended as {verdict.kind}", infrastructure=False)


def skip_dependents(state: RunState, task_id: str, kind: VerdictKind) -> Iterator[Fact]:
    """The task is final without success: those that wait for it, and for them, will have no attempt."""
    causes = [(task_id, kind)]
    while causes:
        failed, how = causes.pop()
        for dependent in state.dependents.get(failed, ()):
            if state.tasks[dependent].status is TaskStatus.PENDING:
                yield facts.TaskSkipped(task_id=dependent, cause=f"its dependency {failed!r} ended as {how}")
                causes.append((dependent, VerdictKind.SKIPPED))


# -- apply --


def task_requeued(state: RunState, fact: facts.TaskRequeued) -> None:
    entry = state.tasks[fact.task_id]
    entry.status = TaskStatus.PENDING
    state.pending += 1
    state.timers.set(backoff_timer(fact.task_id), fact.not_before_s)
    state.requeue(entry)


def task_settled(state: RunState, fact: facts.TaskSettled) -> None:
    _finish(state, state.tasks[fact.task_id])


def task_skipped(state: RunState, fact: facts.TaskSkipped) -> None:
    entry = state.tasks[fact.task_id]
    if entry.status is not TaskStatus.PENDING:
        raise InvariantBroken(f"task {fact.task_id!r} cannot be skipped: it is {entry.status}")
    state.pending -= 1
    entry.verdict = entry.verdict or VerdictKind.SKIPPED  # one that waited to be retried keeps its last
    state.timers.clear(backoff_timer(fact.task_id))
    entry.excused = entry.excused or any(state.tasks[needed].excused for needed in entry.task.depends_on)
    _finish(state, entry)
    wake_for_slots(state, entry.task.wave)


def _finish(state: RunState, entry: TaskState) -> None:
    entry.status = TaskStatus.FINAL
    wave = state.waves[entry.task.wave]
    wave.unsettled -= 1
    if entry.verdict is not None:
        state.verdicts[entry.verdict] += 1
    if entry.verdict is VerdictKind.SUCCESS:
        entry.cancelled = entry.excused = False  # it was faster
    else:
        state.failures += 1
        wave.failures += 1
        wave.excused += entry.excused
    state.note_if_ripe(wave)
    state.wake(dependency_key(entry.task.id))
