"""What earlier runs have taught, handed to a run: in what order to start, and who learns from it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from anyio import to_thread

from wavepool.engine.learner import Keeper, Learner
from wavepool.errors import InfrastructureError
from wavepool.learning import History
from wavepool.learning.history import Basis
from wavepool.learning.store import Store
from wavepool.model import Isolation, Rules, Schedule
from wavepool.plan.precedence import longest_first
from wavepool.statedir import StateDir
from wavepool.wiring.requests import RunRequest


def read_history(state_dir: Path, notice: Callable[[str], None]) -> History:
    """All that was learned; nothing, and why, where the file cannot be used."""
    try:
        return History(Store(state_dir).read())
    except InfrastructureError as error:
        notice(str(error))
        return History()


async def places_of(request: RunRequest, rules: Rules, notice: Callable[[str], None]) -> tuple[int, ...]:
    """Where each task stands in the order of starting; empty for the order of the plan."""
    if rules.schedule is not Schedule.ROLLING or request.start_order == "plan":
        return ()
    history = await to_thread.run_sync(read_history, request.state_dir, notice)
    return await to_thread.run_sync(learned_places, request, rules, history)


def learned_places(request: RunRequest, rules: Rules, history: History) -> tuple[int, ...]:
    """The longest expected first; empty where nothing is known of any task, or the order of the plan was asked for.

    With a network for each wave only tasks of one wave change places: else all the networks would be there at once.
    """
    if rules.schedule is not Schedule.ROLLING or request.start_order == "plan" or not history.samples:
        return ()
    expected = [history.expected(task, request.surroundings.image) for task in request.plan.tasks]
    if all(each.basis in (Basis.TIER, Basis.NONE) for each in expected):
        return ()
    durations_s = [each.duration_s for each in expected]
    return longest_first(request.plan.tasks, durations_s, within_waves=rules.isolation is Isolation.WAVE)


def learner(
    stack: AsyncExitStack, state_dir: StateDir, notice: Callable[[str], None], *, learn: bool
) -> Learner | None:
    """Who learns from a run until the stack is closed; None where nothing is to be learned."""
    if not learn:
        return None
    keeper = stack.enter_context(Keeper(Store(state_dir.path).add, notice))
    return Learner(keeper.keep)
