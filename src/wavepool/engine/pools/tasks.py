"""One task, from its submission to its verdict: at most once, whatever happens to containers."""

from __future__ import annotations

import anyio

from wavepool.core.pools import Dispatch
from wavepool.engine.pools.claiming import claim, run_reused
from wavepool.engine.pools.containers import Container
from wavepool.engine.pools.moving import move
from wavepool.engine.pools.orders import Order
from wavepool.engine.pools.progress import Progress
from wavepool.engine.pools.results import TaskExecution, Where
from wavepool.engine.pools.starting import ColdStart
from wavepool.engine.pools.stock import Stock, Tools
from wavepool.engine.pools.stopping import stop
from wavepool.engine.pools.verdicts import lost, never_began, start_error, verdict_of
from wavepool.engine.pools.watching import NO_LOG
from wavepool.errors import InfrastructureError, NotClaimed
from wavepool.model import Ending, StopReason

CANCEL_GRACE_S = 1.0
CANCEL_S = 30.0
"""How long a task whose caller was cancelled has to end by itself, and for the whole of its stop."""

END_S = 10.0
"""How long the ending of a container that was stopped is waited for."""

LOG_S = 30.0
"""How long the rest of an output is waited for after its container has ended."""


class TaskRun:
    """One task and the container that is its own: one that was taken from the stock, or a place for a cold one.

    Args:
        name: what others may look at it by; empty for nobody.

    Attributes:
        stock: whose it is.
        progress: how far it has come, and in which container.

    Raises from making it:
        InputError, InfrastructureError: there is no place for a cold one.
    """

    def __init__(self, stock: Stock, tools: Tools, submitted_at: float, name: str = "") -> None:
        self.stock = stock
        self.name = name
        self._tools = tools
        self._driver = tools.session.driver
        taken = stock.take()
        if taken is None:
            self.progress = Progress(self._cold_place(), Where.COLD, submitted_at)
        else:
            where = Where.REUSED if taken.reusable is not None else Where.WARM
            self.progress = Progress(taken, where, submitted_at)

    async def run(self, order: Order) -> TaskExecution:
        """To its verdict; what the machine did wrong is in that, never raised.

        Raises:
            InputError: what is asked for cannot be told to a container; nothing ran.
            Exception: what `on_output` raised; the task was stopped.
        """
        progress = self.progress
        progress.claimed_at = anyio.current_time()
        try:
            ending = await self._begin(order)
        except InfrastructureError as error:
            ending = start_error(str(error))
        if ending is None:
            ending = await self._see_through(order)
        progress.ended_at = anyio.current_time()
        if progress.running_at is not None and progress.where is not Where.REUSED:
            await self._read_out()
        if progress.container.output.failure is not None:
            raise progress.container.output.failure
        return self._result(ending)

    @property
    def runs_now(self) -> bool:
        """Whether it is known to run: its container is its own, and no other will stand in."""
        return self.progress.running_at is not None and self.progress.ended_at is None

    def cancel(self) -> None:
        """Its pool is closed, or somebody asks for it: stop it, and say so in its verdict."""
        self.progress.stopped = self.progress.stopped or StopReason.CANCELLED
        self.progress.interrupt()

    async def leave(self) -> None:
        """Done with its container, and with what is in its workspace: stop what may run of it, and give it away."""
        progress, container = self.progress, self.progress.container
        took_s = progress.took_s()
        with anyio.CancelScope(shield=True):
            if progress.may_run and container.ending is None:
                with anyio.move_on_after(CANCEL_S):
                    await stop(self._driver, container, CANCEL_GRACE_S)
            if progress.returned:
                self.stock.take_back(container, took_s or 0.0)
                return
            if progress.where is Where.COLD:
                self.stock.cold_ended(took_s)
            else:
                self.stock.give_up(container, took_s)
            await self._tools.disposal.take(container)

    async def _begin(self, order: Order) -> Ending | None:
        """Have it run, once. An ending where it does not, where nobody knows, or where it has ended already."""
        progress = self.progress
        while progress.where is not Where.COLD:
            if progress.stopped is not None:
                return never_began()
            try:
                if progress.container.reusable is not None:
                    bound_s = order.bound_s(self.stock)
                    return await run_reused(progress.container.reusable, progress, order, bound_s)
                progress.listen(order.on_output)
                return await claim(self._driver, self._tools.calm, progress, order)
            except NotClaimed:
                await self._take_another()
        return await ColdStart(self.stock, self._tools, progress).begin(order)

    async def _take_another(self) -> None:
        """The next container, with all that was placed in the workspace of the dead one."""
        dead = self.progress.container
        taken, where = self.stock.take_another(dead), self.progress.where
        if taken is None:
            taken, where = self._cold_place(), Where.COLD
        await move(self.progress, taken, where, self._tools.disposal)

    def _cold_place(self) -> Container:
        container = self._tools.session.new_container(self.stock.specs)
        container.claimed = True
        self.stock.cold_began()
        return container

    async def _see_through(self, order: Order) -> Ending:
        """Wait for its end, and end it where its time is up, its pool is closed, or nobody can hear it any more."""
        progress, container = self.progress, self.progress.container
        with progress.interruptible(), anyio.move_on_after(order.bound_s(self.stock)) as bound:
            await container.ended.wait()
        if container.ending is not None:
            progress.stopped = None
            return container.ending
        if bound.cancelled_caught and progress.stopped is None:
            progress.stopped = StopReason.TIMEOUT
        await stop(self._driver, container, order.grace_s)
        with anyio.move_on_after(END_S):
            await container.ended.wait()
        return self.progress.container.ending or lost("it was stopped, and how it ended was not told")

    async def _read_out(self) -> None:
        """Until all of its output has come, or as long as it may take."""
        output = self.progress.container.output
        with anyio.move_on_after(LOG_S):
            await output.closed.wait()
            return
        output.miss(NO_LOG)

    def _result(self, ending: Ending) -> TaskExecution:
        progress, container, output = self.progress, self.progress.container, self.progress.container.output
        result = TaskExecution(
            agent_type=self.stock.name,
            attempt=container.spec.attempt,
            container=container.spec.name if container.asked else "",
            where=progress.where,
            verdict=verdict_of(ending, progress.stopped),
            stdout=output.stdout.value(),
            stderr=output.stderr.value(),
            dropped_bytes=output.stdout.dropped + output.stderr.dropped,
            gap=output.gap,
            timings=progress.timings(),
            started_at=ending.started_at,
            finished_at=ending.finished_at,
            tries=progress.tries,
        )
        if result.dispatch_s is not None:
            self.stock.book.dispatched(_DISPATCH[progress.where], result.dispatch_s)
        return result


_DISPATCH = {
    Where.WARM: Dispatch.EXACT,
    Where.REUSED: Dispatch.EXACT,
    Where.RESIZED: Dispatch.RESIZED,
    Where.COLD: Dispatch.COLD,
}
