"""What the process that works on a run answers to those who pause it, cancel tasks of it, or have some tried again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from wavepool.core import facts
from wavepool.core.facts import Fact
from wavepool.core.state import RunState
from wavepool.engine.asking import Ask, NotReady, to_cancel, to_pause, to_retry, to_unpause
from wavepool.engine.control.protocol import Request
from wavepool.engine.preparing import Preparation
from wavepool.engine.retrying import entries_named
from wavepool.errors import InfrastructureError

TAKEN_S = 30.0
"""How long the run may take to take it; then it is withdrawn."""


class Decider(Protocol):
    """`Engine.ask`."""

    def __call__(self, ask: Ask, *, patience_s: float) -> Awaitable[Sequence[Fact] | None]:
        """What followed; None where it was withdrawn."""


async def ordered(
    request: Request, state: RunState, decide: Decider, preparation: Preparation | None = None
) -> dict[str, Any]:
    """Have it decided; returns the reply when what followed is in the journal.

    What tasks need that are tried again, and were not ahead of this process when it began, is made ready first; the
    run goes on meanwhile, and it is decided anew of what it is then.

    Raises:
        NotNow, UnknownTask, SettingError: as in `engine.asking`.
        PrepareError: an image that a task needs cannot be had.
        InfrastructureError: the run has not taken it in time, and will not.
    """
    while True:
        try:
            followed = await _decided(request, state, decide, preparation)
        except NotReady as error:
            assert preparation is not None, "only what it tells is lacking"
            await preparation.make(error.tasks)
        else:
            return _REPLY[request.op](request, state, followed)


async def _decided(
    request: Request, state: RunState, decide: Decider, preparation: Preparation | None
) -> Sequence[Fact]:
    ask = _ASK[request.op](request.tasks)
    if request.op == "retry" and preparation is not None:
        ask = to_retry(request.tasks, preparation.lacks)
    followed = await decide(ask, patience_s=TAKEN_S)
    if followed is None:
        raise InfrastructureError(
            f"run {state.run.run_id} has not taken it within {TAKEN_S:.0f} s, and will not",
            advice="It may still be preparing (pulling an image, or taking up a long journal): ask again later.",
        )
    return followed


def _of_pause(request: Request, state: RunState, followed: Sequence[Fact]) -> dict[str, Any]:
    return {"changed": bool(followed), "paused": state.course.paused is not None, "running": len(state.live)}


def _of_cancel(request: Request, state: RunState, followed: Sequence[Fact]) -> dict[str, Any]:
    cancelled = {task_id for fact in _all(followed, facts.TasksCancelled) for task_id in fact.tasks}
    skipped = [fact.task_id for fact in _all(followed, facts.TaskSkipped)]
    named = list(dict.fromkeys(entry.task.id for entry in entries_named(state, request.tasks)))
    return {
        "stopped": [task_id for task_id in named if task_id in cancelled and task_id not in skipped],
        "skipped": [task_id for task_id in skipped if task_id in cancelled],
        "dependents": [task_id for task_id in skipped if task_id not in cancelled],
        "ended": [task_id for task_id in named if task_id not in cancelled],
    }


def _of_retry(request: Request, state: RunState, followed: Sequence[Fact]) -> dict[str, Any]:
    tasks: list[str] = []
    waiting: list[str] = []
    for fact in _all(followed, facts.RunReopened):
        tasks += fact.tasks
        waiting += fact.waiting
    return {"tasks": tasks, "waiting": waiting, "paused": state.course.paused is not None}


def _all(followed: Iterable[Fact], kind: type[Any]) -> list[Any]:
    return [fact for fact in followed if isinstance(fact, kind)]


_ASK: dict[str, Callable[[Sequence[str]], Ask]] = {
    "pause": lambda _: to_pause(),
    "unpause": lambda _: to_unpause(),
    "cancel_tasks": to_cancel,
    "retry": to_retry,
}
_REPLY = {"pause": _of_pause, "unpause": _of_pause, "cancel_tasks": _of_cancel, "retry": _of_retry}
ORDERS = frozenset(_ASK)
