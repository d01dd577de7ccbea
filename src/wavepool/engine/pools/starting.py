"""A task whose container has to be made: started cold, in the place that was made for it."""

from __future__ import annotations

from dataclasses import replace

import anyio

from wavepool.engine.pools.moving import move
from wavepool.engine.pools.orders import Order
from wavepool.engine.pools.progress import Progress
from wavepool.engine.pools.results import Where
from wavepool.engine.pools.specs import cold
from wavepool.engine.pools.stock import Stock, Tools
from wavepool.engine.pools.stopping import pauses
from wavepool.engine.pools.verdicts import lost, never_began, not_started, start_error
from wavepool.errors import DriverUnavailable, InfrastructureError, MayHaveRun, NotStarted, Unknown
from wavepool.model import Ending

START_ATTEMPTS = 3
"""Containers that are tried for one task, where the engine was too busy to start it and may not be later."""


class ColdStart:
    """Starts one task cold. A few are under way at once in a pool; the others wait for their turn."""

    def __init__(self, stock: Stock, tools: Tools, progress: Progress) -> None:
        self._stock = stock
        self._tools = tools
        self._progress = progress

    async def begin(self, order: Order) -> Ending | None:
        """Have it run, once. An ending where it does not, or where nobody knows."""
        progress, ending = self._progress, None
        for _ in range(START_ATTEMPTS):
            if ending is not None:
                await self._move()
            progress.listen(order.on_output)
            with progress.interruptible():
                ending = await self._start(order)
            if progress.stopped is not None and not progress.may_run:
                return never_began()
            if ending is None or not ending.transient:
                break
        return ending

    async def _start(self, order: Order) -> Ending | None:
        try:
            await self._stock.prepare()  # before its turn: a pull may take minutes, and others want to start
            async with self._tools.starting:
                return await self._start_surely(order)
        except NotStarted as error:
            self._progress.never_ran()
            self._stock.refused(error)
            return replace(not_started(error), transient=error.transient)
        except MayHaveRun as error:
            return lost(error.message)
        except InfrastructureError as error:
            self._progress.never_ran()
            return start_error(str(error))

    async def _start_surely(self, order: Order) -> Ending | None:
        """A call that was cut off is repeated, which is safe. Raises as `Driver.start`, but Unknown."""
        container = self._progress.container
        spec = cold(container.spec, order.claim, order.limits)
        self._tools.watch.expect(container)
        problem = ""
        for pause_s in pauses():
            container.asked = self._progress.may_run = True
            try:
                handle = await self._tools.session.driver.start(spec)
            except MayHaveRun:
                raise
            except (Unknown, DriverUnavailable) as error:
                problem = error.message
                await anyio.sleep(pause_s)
                if container.ending is None:
                    continue
                handle = container.handle_or_name(self._tools.session.driver.name)  # the watch has told meanwhile
            container.exists(handle, anyio.current_time())
            self._stock.follow_cold(container)
            self._progress.runs()
            return None
        return lost(f"whether it started could not be known: {problem}")

    async def _move(self) -> None:
        """What could not be started stays for its removal; the next try has another name."""
        new = self._tools.session.new_container(self._stock.specs)
        new.claimed = True
        await move(self._progress, new, Where.COLD, self._tools.disposal)
