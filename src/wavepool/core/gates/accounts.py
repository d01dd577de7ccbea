"""A task with an agent starts while its account has something to give."""

from __future__ import annotations

from wavepool.core.gates.base import Gate, Wait
from wavepool.core.state import RunState, TaskState
from wavepool.core.timers import account_timer


class Accounts(Gate):
    """Waits for the end of its account's pause; the task is passed over meanwhile, and other accounts go on."""

    __slots__ = ()

    def check(self, state: RunState, entry: TaskState) -> Wait | None:
        agent = entry.task.agent
        if agent is None:
            return None
        key = account_timer(agent.pays)
        return Wait(key, blocks=False) if state.timers.is_set(key) else None
