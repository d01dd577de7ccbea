"""Follows what running agents say: for whoever looks on, and for the core, as far as it decides anything.

What decides is told to the core at most once a second for each attempt, and the last word always gets through. The
report at the end is not made from this: it is read from the archived output, whole.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import anyio
import structlog
from anyio.abc import TaskGroup

from wavepool.agents.base import AgentAdapter
from wavepool.core import events, facts
from wavepool.core.facts import Fact
from wavepool.core.state import RunState
from wavepool.drivers.base import Driver
from wavepool.engine.watching.hearing import GuardedReader, feed
from wavepool.errors import InfrastructureError, NoSuchAttempt
from wavepool.model import AgentEvent, AgentEventKind, AgentOrder, AttemptId, Handle

INTERVAL_S = 1.0
"""Between two tellings to the core, for each attempt."""

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
"""Before an output that was cut off is followed anew, from its beginning; doubled each time."""

NO_ADAPTERS: Mapping[str, AgentAdapter] = MappingProxyType({})

_log = structlog.get_logger(__name__)


class Followers:
    """One follower for each running attempt that has an agent; there are never more than attempts.

    Args:
        state: of the run; only read.
        driver: open; closed by its owner.
        adapters: of the agents, by name.
        tell: takes an event for the core.
        heard: takes what an agent said, for those who look on; must not block.
    """

    def __init__(
        self,
        *,
        state: RunState,
        driver: Driver,
        adapters: Mapping[str, AgentAdapter],
        tell: Callable[[events.Event], Awaitable[None]],
        heard: Callable[[AttemptId, AgentEvent], None],
    ) -> None:
        self._state = state
        self._driver = driver
        self._adapters = adapters
        self._tell = tell
        self._heard = heard
        self._scopes: dict[AttemptId, anyio.CancelScope] = {}

    def take(self, fact: Fact, group: TaskGroup) -> None:
        """Begin to follow what has started, and stop what has its verdict."""
        if isinstance(fact, facts.AttemptStarted):
            self._begin(fact.attempt, fact.handle, group)
        elif isinstance(fact, facts.AttemptSettled) and fact.attempt in self._scopes:
            self._scopes[fact.attempt].cancel()

    def take_up(self, group: TaskGroup) -> None:
        """Follow whatever an earlier process had started and that may still speak."""
        for live in list(self._state.live.values()):
            if live.handle is not None and live.ending is None and live.verdict is None:
                self._begin(live.id, live.handle, group)

    def _begin(self, attempt: AttemptId, handle: Handle, group: TaskGroup) -> None:
        order = self._state.tasks[attempt.task_id].task.agent
        adapter = None if order is None else self._adapters.get(order.name)
        if order is not None and adapter is not None and attempt not in self._scopes:
            self._scopes[attempt] = anyio.CancelScope()
            group.start_soon(self._follow, attempt, handle, adapter, order)

    async def _follow(self, attempt: AttemptId, handle: Handle, adapter: AgentAdapter, order: AgentOrder) -> None:
        try:
            with self._scopes[attempt]:
                voice = Voice(attempt, self._tell)
                async with anyio.create_task_group() as group:
                    group.start_soon(voice.speak)
                    await self._listen(attempt, handle, adapter, order, voice)
                    await voice.finish()
                    group.cancel_scope.cancel()
        finally:
            del self._scopes[attempt]

    async def _listen(
        self, attempt: AttemptId, handle: Handle, adapter: AgentAdapter, order: AgentOrder, voice: Voice
    ) -> None:
        """To the end of its output; what was told before the stream broke is not told again."""
        told, pause_s = 0, FIRST_PAUSE_S
        while True:
            reader, count = GuardedReader(adapter, order), 0
            try:
                async with self._driver.logs(handle) as chunks:
                    async for chunk in chunks:
                        if chunk.stream != "stdout" or not chunk.data:
                            continue
                        for event in await feed(reader, chunk.data):
                            count += 1
                            if count > told:
                                told = count
                                self._heard(attempt, event)
                                voice.hear(event)
                return
            except NoSuchAttempt:
                return
            except InfrastructureError as error:
                _log.warning("an agent is not heard for a while", attempt=str(attempt), problem=str(error))
            await anyio.sleep(pause_s)
            pause_s = min(MAX_PAUSE_S, 2 * pause_s)


class Voice:
    """What one agent said that decides: the newest limit of its account, and what it has used.

    Args:
        tell: takes an event for the core; may wait.
    """

    def __init__(self, attempt: AttemptId, tell: Callable[[events.Event], Awaitable[None]]) -> None:
        self._attempt = attempt
        self._tell = tell
        self._limit: AgentEvent | None = None
        self._usage: AgentEvent | None = None
        self._used: tuple[float | None, int] = (None, 0)
        """As it was heard last."""
        self._changed = anyio.Event()

    def hear(self, event: AgentEvent) -> None:
        """Remember it, if it decides anything."""
        used = (event.cost_usd, event.tokens.total)
        if event.kind is AgentEventKind.RATE_LIMITED:
            self._limit = event
        elif used == self._used:
            return
        else:
            self._usage = event
        self._used = used
        self._changed.set()

    async def speak(self) -> None:
        """Tell what was heard, at most every `INTERVAL_S`; until it is cancelled."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            await self._say()
            await anyio.sleep(INTERVAL_S)

    async def finish(self) -> None:
        """Tell at once what was not told yet."""
        await self._say()

    async def _say(self) -> None:
        said, self._limit, self._usage = (self._limit, self._usage), None, None
        for event in said:
            if event is not None:
                await self._tell(events.Spoke(attempt=self._attempt, said=event))
