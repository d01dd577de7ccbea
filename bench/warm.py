"""Our warm pool as the benchmarks use it: one agent type, alike in everything to the ground's raw containers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

import anyio

from bench.ground import IMAGE, MEMORY_BYTES, Ground
from wavepool import ContainerPool, labels
from wavepool.engine.pools import Where
from wavepool.model import AgentType, Limits, PoolSettings

COMMAND = ("echo", "ready")
DEADLINE_S = 600.0
LOOK_AGAIN_S = 0.02
TYPE = "bench"


class WarmPool:
    """A pool of `size` containers, and its numbers. Use it as an async context manager.

    Args:
        reuse: its containers run many tasks, one after the other.
        refills: whether a claimed container is replaced while its task runs.

    Attributes:
        agent: the one type that it has.
    """

    def __init__(self, ground: Ground, *, size: int, reuse: bool = False, refills: bool = True) -> None:
        self.agent = AgentType(name=TYPE, image=IMAGE, limits=Limits(memory_bytes=MEMORY_BYTES))
        self._ground = ground
        self._size = size
        most = size if reuse or not refills else 4 * size
        self._settings = PoolSettings(
            size=size, min_size=size, max_size=most, auto_scaling=False, reuse=reuse, max_uses=1_000_000
        )
        self._stack = AsyncExitStack()
        self._pool: ContainerPool | None = None

    async def __aenter__(self) -> Self:
        """Returns when it is full."""
        async with AsyncExitStack() as stack:
            pool = ContainerPool([self.agent], self._settings, driver="docker", state_dir=self._ground.state_dir.path)
            self._pool = await stack.enter_async_context(pool)
            with anyio.fail_after(DEADLINE_S):
                await self.filled()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(exc_type, exc, tb)

    @property
    def pool(self) -> ContainerPool:
        assert self._pool is not None, "it is not open"
        return self._pool

    async def filled(self) -> None:
        """Return when it is full, and every container that was used is gone."""
        await self.pool.warm(count=self._size)
        label = f"{labels.RUN}={self.pool.session}"
        while len(await self._ground.api.ids(label)) != self._size:  # noqa: ASYNC110 - the engine has to be asked
            await anyio.sleep(LOOK_AGAIN_S)

    async def first_output_s(self, limits: Limits | None = None, *, may_be_cold: bool = False) -> float:
        """Seconds from the submission of a task to the first byte of its output. Returns when it has ended."""
        first_s: list[float] = []

        def on_output(stream: str, data: bytes) -> None:
            if not first_s:
                first_s.append(time.perf_counter())

        began_s = time.perf_counter()
        done = await self.pool.execute(TYPE, COMMAND, limits=limits, on_output=on_output)
        assert done.succeeded, done
        assert may_be_cold or done.warm, done
        return first_s[0] - began_s

    async def task_s(self) -> float:
        """Seconds for a whole task, from its submission to its result."""
        began_s = time.perf_counter()
        done = await self.pool.execute(TYPE, COMMAND)
        assert done.succeeded, done
        assert not self._settings.reuse or done.where is Where.REUSED, done
        return time.perf_counter() - began_s

    async def run_until_cancelled(self, command: Sequence[str], running: Callable[[float], None]) -> None:
        """Run a task that never ends; `running` is told when its first output came."""
        told = False

        def on_output(stream: str, data: bytes) -> None:
            nonlocal told
            if not told:
                told = True
                running(time.perf_counter())

        done = await self.pool.execute(TYPE, command, on_output=on_output)
        raise AssertionError(f"a task that never ends has ended: {done}")

    def hits_percent(self) -> float:
        """Of all tasks so far, how many found a container ready."""
        reading = self.pool.readings()[0]
        return 100 * reading.hits / reading.arrivals


def larger(limits: Limits) -> Limits:
    """Limits with twice the memory."""
    return replace(limits, memory_bytes=2 * limits.memory_bytes)
