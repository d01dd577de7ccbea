"""What agents say while they work: no fact keeps it, so it is heard in their output, of runs that somebody looks at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

import anyio
import structlog
from anyio.abc import TaskGroup

from wavepool.drivers.base import Driver
from wavepool.engine.watching.hearing import GuardedReader, feed
from wavepool.errors import WavepoolError
from wavepool.model import AttemptId, Handle, Task
from wavepool.monitoring.runs.folds import TaskFold
from wavepool.monitoring.runs.followed import FollowedRun
from wavepool.wiring import adapters_of

LOOK_S = 1.0
"""Between two looks for agents that have begun, or that nobody looks at any more."""

AGAIN_S = 10.0
"""Before an output that could not be read, or was cut off, is listened to anew, from its beginning."""

VOICES = 64
"""That are listened to at once; of more agents some are not heard."""

_log = structlog.get_logger(__name__)


class _Agent(NamedTuple):
    """An agent that works now."""

    run: FollowedRun[TaskFold]
    driver: str
    task: Task
    handle: Handle

    @property
    def key(self) -> tuple[str, AttemptId]:
        return self.run.id, self.handle.attempt


class Voices:
    """One stream of output for each agent, for all viewers.

    Args:
        viewed: the runs that somebody looks at now.
        open_driver: by its name.
    """

    def __init__(
        self,
        viewed: Callable[[], Iterable[FollowedRun[TaskFold]]],
        open_driver: Callable[[str], Awaitable[Driver]],
    ) -> None:
        self._viewed = viewed
        self._open_driver = open_driver
        self._scopes: dict[tuple[str, AttemptId], anyio.CancelScope] = {}

    async def run(self) -> None:
        """Listen until this is cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                self._look(group)
                await anyio.sleep(LOOK_S)

    def _look(self, group: TaskGroup) -> None:
        agents = {agent.key: agent for run in self._viewed() for agent in _agents_of(run)}
        for key in self._scopes.keys() - agents.keys():
            self._scopes[key].cancel()
        for key, agent in agents.items():
            if key not in self._scopes and len(self._scopes) < VOICES:
                self._scopes[key] = anyio.CancelScope()
                group.start_soon(self._listen, agent)

    async def _listen(self, agent: _Agent) -> None:
        try:
            with self._scopes[agent.key]:
                try:
                    await self._hear(agent)
                except WavepoolError as error:
                    _log.info("an agent is not heard", attempt=str(agent.handle.attempt), problem=error.message)
                except Exception:  # one whose output is odd must not take the others with it
                    _log.exception("an agent is not heard", attempt=str(agent.handle.attempt))
                await anyio.sleep(AGAIN_S)
        finally:
            del self._scopes[agent.key]

    async def _hear(self, agent: _Agent) -> None:
        """To the end of its output."""
        order = agent.task.agent
        assert order is not None, "agents alone are listened to"
        reader = GuardedReader(adapters_of([agent.task])[order.name], order)
        driver = await self._open_driver(agent.driver)
        async with driver.logs(agent.handle) as chunks:
            async for chunk in chunks:
                if chunk.stream == "stdout" and chunk.data:
                    for event in await feed(reader, chunk.data):
                        agent.run.fold.hear(agent.handle.attempt, event)


def _agents_of(run: FollowedRun[TaskFold]) -> Iterable[_Agent]:
    opened = run.fold.progress.run
    if opened is None or not run.is_live:
        return
    for attempt, handle in run.fold.running.items():
        task = run.fold.chronicle.tasks[attempt.task_id].task
        if task.agent is not None:
            yield _Agent(run, opened.driver, task, handle)
