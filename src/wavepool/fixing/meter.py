"""How much a check in an image has written so far: what floods its output is ended long before its time is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from anyio.abc import TaskGroup

from wavepool.core.facts import AttemptStarted, Stamped
from wavepool.engine.listener import Listener
from wavepool.errors import InfrastructureError
from wavepool.model import Handle
from wavepool.statedir import StateDir
from wavepool.wiring import driver_named


class OutputMeter(Listener):
    """Follows the output of the one attempt of a run, beside the run.

    Args:
        group: where it follows; cancelled by its owner.
        limit_bytes: of both streams.
        stop: ends the run.

    Attributes:
        size_bytes: how much was written so far.
        is_over: it was more than the limit, and the run was stopped for it.
    """

    def __init__(
        self, group: TaskGroup, state_dir: StateDir, *, limit_bytes: int, stop: Callable[[], Awaitable[None]]
    ) -> None:
        self._group = group
        self._state_dir = state_dir
        self._limit_bytes = limit_bytes
        self._stop = stop
        self.size_bytes = 0
        self.is_over = False

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        for each in facts:
            if isinstance(each.fact, AttemptStarted):
                self._group.start_soon(self._follow, each.fact.handle)

    async def _follow(self, handle: Handle) -> None:
        try:
            async with driver_named("docker", self._state_dir) as driver, driver.logs(handle) as chunks:
                async for chunk in chunks:
                    self.size_bytes += len(chunk.data)
                    if self.size_bytes > self._limit_bytes:
                        self.is_over = True
                        break
        except InfrastructureError:  # the run itself meets it too, and tells; its log has its own limit
            return
        if self.is_over:
            await self._stop()
