"""What others ask of a run that goes on: checked against its state at the very moment at which it is decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import anyio

from wavepool.core import events
from wavepool.core.events import Event
from wavepool.core.facts import Fact
from wavepool.core.slices.reopening import waiting_for
from wavepool.core.state import RunState, TaskStatus
from wavepool.engine.retrying import entries_named, tasks_to_retry
from wavepool.errors import NotNow, RunOver, WavepoolError, shorten
from wavepool.model import Task

Lacks = Callable[[Iterable[Task]], bool]
"""True where something that these tasks need is not ready in this process."""


class NotReady(WavepoolError):
    """Nothing is decided yet: something that `tasks` need must be made ready first, and then be asked again."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__(f"something that {len(tasks)} tasks need is not ready")
        self.tasks = tasks


Ask = Callable[[RunState], Event]
"""Makes the event of the state as it is now, or raises an error of ours: then nothing is decided."""


class Asked:
    """One question, from when it was asked to when what it led to is in the journal.

    Attributes:
        urgent: it is decided even while nothing else is, as what exists of a run that is taken up is not known yet.
    """

    def __init__(self, ask: Ask, *, urgent: bool = False) -> None:
        self.urgent = urgent
        self._ask = ask
        self._facts: list[Fact] = []
        self._error: WavepoolError | None = None
        self._done = anyio.Event()

    def decide(self, state: RunState, decided: Callable[[Event], list[Fact]]) -> list[Fact]:
        """What follows; nothing where the question is refused, which whoever asked will hear."""
        try:
            self._facts = decided(self._ask(state))
        except WavepoolError as error:
            self._error = error
        return self._facts

    def answer(self) -> None:
        """What it led to is in the journal."""
        self._done.set()

    async def answered(self) -> Sequence[Fact]:
        """What it led to. Raises what it was refused with."""
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._facts


def to_interrupt(*, force: bool) -> Ask:
    """Drain the whole run, with `force` stop what runs. Raises RunOver."""

    def ask(state: RunState) -> Event:
        if state.outcome is not None:
            raise over(state)
        return events.Interrupted(force=force)

    return ask


def to_pause() -> Ask:
    """Raises (when it is decided) NotNow: the run is ending, and starts nothing any more. RunOver."""

    def ask(state: RunState) -> Event:
        _check_goes_on(state)
        if state.course.stopped is not None:
            raise _ending(state, f"it starts nothing any more: {state.course.stopped}")
        return events.Paused()

    return ask


def to_unpause() -> Ask:
    """Raises RunOver."""

    def ask(state: RunState) -> Event:
        if state.outcome is not None:
            raise over(state)
        return events.Unpaused()

    return ask


def to_cancel(tasks: Sequence[str]) -> Ask:
    """Tasks as people name them (`naming.tasks_named`).

    Raises UnknownTask: one is not of this run. NotNow: none of them can be cancelled any more. RunOver.
    """

    def ask(state: RunState) -> Event:
        if state.outcome is not None:
            raise over(state)
        named = entries_named(state, tasks)
        if all(entry.status is TaskStatus.FINAL or entry.cancelled for entry in named):
            last = named[0]
            how = f"has ended already: {last.verdict}" if last.status is TaskStatus.FINAL else "is cancelled already"
            others = f", and so are the other {len(named) - 1}" if len(named) > 1 else ""
            raise NotNow(state.run.run_id, f"task {shorten(last.task.id)} {how}{others}")
        return events.Unwanted(tasks=tuple(entry.task.id for entry in named))

    return ask


def to_retry(tasks: Sequence[str], lacks: Lacks = lambda tasks: False) -> Ask:
    """Tasks as people name them; none for all that failed.

    Raises SettingError: one of them cannot be tried again. NotNow: nothing failed yet, or the run is ending.
    NotReady: one needs what is not ready, as `lacks` tells.
    """

    def ask(state: RunState) -> Event:
        _check_goes_on(state)
        chosen = tasks_to_retry(state, tasks, live=True)
        if chosen is None:
            raise NotNow(
                state.run.run_id, f"nothing of run {state.run.run_id} has failed: there is nothing to try again"
            )
        again = [*(state.tasks[each].task for each in chosen), *(entry.task for entry in waiting_for(state, chosen))]
        if lacks(again):
            raise NotReady(again)
        return events.Reopened(tasks=chosen, live=True)

    return ask


def over(state: RunState) -> RunOver:
    """The error for whoever comes too late."""
    run_id, how = state.run.run_id, "ended just now" if state.outcome is None else state.outcome.value
    return RunOver(run_id, f"run {run_id} is over: {how}", advice=f"`wavepool show {run_id}` tells it.")


def _check_goes_on(state: RunState) -> None:
    if state.outcome is not None:
        raise over(state)
    if state.course.draining:
        raise _ending(state, "it was interrupted or cancelled")
    if state.course.infrastructure_failed:
        raise _ending(state, state.course.stopped or "the machine failed")


def _ending(state: RunState, why: str) -> NotNow:
    run_id = state.run.run_id
    return NotNow(run_id, f"run {run_id} is ending: {why}", advice=f"`wavepool attach {run_id}` shows its end.")
