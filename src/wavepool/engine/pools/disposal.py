"""Containers that nobody needs any more: removed in the background, a few at a time, after claims."""

from __future__ import annotations

from contextlib import suppress
from typing import Self

import anyio
import anyio.to_thread
import structlog

from wavepool.engine.pools.calm import Calm
from wavepool.engine.pools.containers import Container
from wavepool.engine.pools.session import PoolSession
from wavepool.engine.pools.watching import PoolWatch
from wavepool.errors import InfrastructureError

QUEUE_MAX = 64
"""Containers that wait to be removed. Whoever brings one more waits for the first to be gone."""

WORKERS = 2
FEW = 16
"""While no more than so many wait, a removal waits for a pause between claims."""
TRIES = 5
FIRST_PAUSE_S = 0.5
"""Before a removal is tried again; doubled for each further try. What resists them all is removed with the session."""

_log = structlog.get_logger(__name__)


class Disposal:
    """Takes containers over from whoever used them; from then on nobody else touches them.

    Leave it as a context manager when nobody brings any more; what waits then goes with the session.
    """

    def __init__(self, session: PoolSession, watch: PoolWatch, calm: Calm) -> None:
        self._session = session
        self._watch = watch
        self._calm = calm
        self._send, self._receive = anyio.create_memory_object_stream[Container](QUEUE_MAX)
        self._waiting = 0
        self._ending = False
        self._busy = 0
        self._idle = anyio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._send.close()
        self._receive.close()

    @property
    def waiting(self) -> int:
        """Containers that are not gone yet."""
        return self._waiting

    async def take(self, container: Container) -> None:
        """Have it removed. Returns at once unless `QUEUE_MAX` are waiting; never cut off, and safe after the end."""
        self._watch.forget(container)
        container.follow.cancel()
        self._waiting += 1
        try:
            with anyio.CancelScope(shield=True):  # ends in any case: the workers take it, or drop it as they end
                await self._send.send(container)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._is_off()  # too late: it goes with the session

    async def run(self) -> None:
        """Remove what comes, until cancelled; what waits then is dropped, and goes with the session."""
        try:
            async with anyio.create_task_group() as group:
                for _ in range(WORKERS):
                    group.start_soon(self._work)
        finally:
            self._drop_all()

    async def finish(self) -> None:
        """Begin nothing more, and return when nothing is under way: what still waits is removed with the session."""
        self._ending = True
        while self._busy:
            await self._idle.wait()

    async def settled(self) -> None:
        """Until nothing waits."""
        while self._waiting:
            await self._idle.wait()

    async def _work(self) -> None:
        while True:
            container = await self._receive.receive()
            self._busy += 1
            try:
                if not self._ending:
                    await self._dispose(container)
            finally:
                self._busy -= 1
                self._is_off()

    def _drop_all(self) -> None:
        with suppress(anyio.WouldBlock):
            while True:
                self._receive.receive_nowait()  # lets in whoever waits to bring one, too
                self._is_off()
        self._receive.close()

    def _is_off(self) -> None:
        """One fewer waits."""
        self._waiting -= 1
        self._idle.set()
        self._idle = anyio.Event()

    async def _dispose(self, container: Container) -> None:
        await (self._calm.wait_for_pause() if self._waiting <= FEW else self._calm.wait())
        if container.asked:
            await self._remove(container)
        await anyio.to_thread.run_sync(self._session.drop_slot, container)

    async def _remove(self, container: Container) -> None:
        driver, problem = self._session.driver, ""
        for turn in range(TRIES):
            try:
                # Not unparked first: an engine that removes what is just ending by itself miscounts its network.
                problem = "; ".join((await driver.remove(container.handle_or_name(driver.name))).errors)
            except InfrastructureError as error:
                problem = str(error)
            if not problem:
                break
            await anyio.sleep(FIRST_PAUSE_S * 2**turn)
        else:
            _log.warning("a container of a pool resists; it goes at the end", name=container.spec.name, problem=problem)
        if container.reusable is not None:
            await self._session.close_reusable(container.reusable)
