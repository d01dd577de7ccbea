"""One task, from its claim or cold start to its verdict: at most once, whatever happens to containers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import anyio
import anyio.to_thread
import structlog

from wavepool.core.pools import Dispatch
from wavepool.drivers.base import Driver
from wavepool.drivers.parking import Claim, OutputSink, SupportsParking
from wavepool.engine.pools.containers import Container
from wavepool.engine.pools.output import Output
from wavepool.engine.pools.results import TaskExecution, Timings, Where
from wavepool.engine.pools.specs import cold
from wavepool.engine.pools.stock import Stock, Tools
from wavepool.engine.pools.verdicts import exited, lost, not_started, start_error, verdict_of
from wavepool.engine.pools.watching import NO_LOG
from wavepool.errors import (
    DriverUnavailable,
    InfrastructureError,
    InputError,
    MayHaveRun,
    NotClaimed,
    NotStarted,
    Unknown,
)
from wavepool.model import Ending, Evidence, Limits, StopReason, VerdictKind

GRACE_S = 10.0
"""Default: how long a task that is stopped has to end by itself."""

CANCEL_GRACE_S = 1.0
CANCEL_S = 30.0
"""How long a task whose caller was cancelled has to end by itself, and for the whole of its stop."""

TRIES = 5
FIRST_PAUSE_S = 0.5
"""How often a call is repeated whose outcome is not known, or that found no engine; the pauses double."""

START_ATTEMPTS = 3
"""Containers that are tried for one task, where the engine was too busy to start it and may not be later."""

END_S = 10.0
"""How long the ending of a container that was stopped is waited for."""

LOG_S = 30.0
"""How long the rest of an output is waited for after its container has ended."""

REUSED_END_S = 3.0
"""How long the ending of a reused container is waited for that died under its task: it says what killed it."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done.

    Attributes:
        limits: other limits than the agent type's; None for these.
        timeout_s: from its start; None for no bound but the lifetime of its limits.
        grace_s: how long it has to end by itself where it is stopped.
        on_output: told each piece of its output.
    """

    claim: Claim
    limits: Limits | None = None
    timeout_s: float | None = None
    grace_s: float = GRACE_S
    on_output: OutputSink | None = None

    def bound_s(self, stock: Stock) -> float | None:
        """How long it may run."""
        lifetime_s = (self.limits or stock.book.agent.limits).lifetime_s
        bounds = [each for each in (self.timeout_s, lifetime_s) if each is not None]
        return min(bounds, default=None)


class TaskRun:
    """One task and the container that is its own: one that was taken from the stock, or a place for a cold one.

    Args:
        container: as `Stock.take` gave it; None makes a place for a cold one.

    Attributes:
        stock: whose it is.
        container: changes where one dies before it ran anything.
        where: in what kind of container it runs.

    Raises from making it:
        InputError, InfrastructureError: there is no place for a cold one.
    """

    def __init__(self, stock: Stock, tools: Tools, submitted_s: float) -> None:
        self.stock = stock
        self._tools = tools
        self._driver: Driver = tools.session.driver
        self._submitted_s = submitted_s
        self._scope = anyio.CancelScope()
        self._stopped: StopReason | None = None
        self._claimed_at: float | None = None
        self._running_at: float | None = None
        self._ended_at: float | None = None
        self._may_run = False
        self._returned = False
        self._tries = 1
        taken = stock.take()
        self.where = Where.COLD if taken is None else Where.REUSED if taken.reusable else Where.WARM
        self.container = taken if taken is not None else self._cold_place()

    # -- from outside --

    async def run(self, order: Order) -> TaskExecution:
        """To its verdict; what the machine did wrong is in that, never raised.

        Raises:
            InputError: what is asked for cannot be told to a container; nothing ran.
            Exception: what `on_output` raised; the task was stopped.
        """
        try:
            ending = await self._begin(order)
        except InfrastructureError as error:
            ending = start_error(str(error))
        if ending is None:
            ending = await self._see_through(order)
        self._ended_at = self._now()
        if self._running_at is not None and self.where is not Where.REUSED:
            await self._read_out()
        if self.container.output.failure is not None:
            raise self.container.output.failure
        return self._result(ending)

    def cancel(self) -> None:
        """Its pool is closed: stop it, and say so in its verdict."""
        self._stopped = self._stopped or StopReason.CANCELLED
        self._interrupt()

    def _interrupt(self) -> None:
        self._scope.cancel()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Left early where its pool is closed, or where nobody can hear it any more."""
        self._scope = anyio.CancelScope()
        if self._stopped is not None or self.container.output.failure is not None:
            self._scope.cancel()
        with self._scope:
            yield

    async def leave(self) -> None:
        """Done with its container, and with what is in its workspace: stop what may run of it, and give it away."""
        container, took_s = self.container, self._took_s()
        with anyio.CancelScope(shield=True):
            if self._may_run and container.ending is None and not self._returned:
                with anyio.move_on_after(CANCEL_S):
                    await self._stop(CANCEL_GRACE_S)
            if self.where is Where.COLD:
                self.stock.cold_ended(took_s)
            elif self._returned:
                self.stock.take_back(container, took_s or 0.0)
                return
            else:
                self.stock.give_up(container, took_s)
            await self._tools.disposal.take(container)

    # -- beginning --

    def _cold_place(self) -> Container:
        container = self._tools.session.new_container(self.stock.specs)
        container.claimed = True
        self.stock.cold_began()
        return container

    async def _begin(self, order: Order) -> Ending | None:
        """Have it run, once. An ending where it does not, or where nobody knows."""
        self._claimed_at = self._now()
        while self.where is not Where.COLD:
            if self._stopped is not None:
                return _never_began()
            self._listen(order)
            try:
                return await self._claim(order)
            except NotClaimed as error:
                _log.info("a parked container was dead at its claim", name=self.container.spec.name, why=error.message)
                await self._take_another()
        self._listen(order)
        return await self._start(order)

    def _listen(self, order: Order) -> None:
        if order.on_output is not None:
            self.container.output.listen(order.on_output, self._interrupt)

    async def _claim(self, order: Order) -> Ending | None:
        """Raises NotClaimed where it is certain that nothing ran in this container."""
        container = self.container
        if container.reusable is not None:
            return await self._reuse(order)
        assert isinstance(self._driver, SupportsParking), "it was parked"
        assert container.handle is not None, "it was parked"
        self._may_run = True
        try:
            with self._tools.calm.claiming():
                await self._driver.claim(container.handle, replace(order.claim, limits=order.limits))
        except (NotClaimed, InputError):
            self._may_run = False
            raise
        except InfrastructureError as error:
            if not await self._proves_claimed(error):
                return lost(f"whether it ran could not be known: {error.message}")
        if order.limits is not None:
            self.where = Where.RESIZED
        self._runs()
        return None

    async def _proves_claimed(self, error: InfrastructureError) -> bool:
        """After a claim of unknown effect: True where its mark is there, so that it has run once and has an ending.

        Raises:
            NotClaimed: nothing was sent to an engine that is not there, and the container is stopped for sure.
        """
        driver, container = self._driver, self.container
        assert isinstance(driver, SupportsParking)
        if driver.claimed_at(container.spec.slot) is not None:
            return True
        stopped = await self._stop(0.0)
        if driver.claimed_at(container.spec.slot) is not None:
            return True
        if stopped and isinstance(error, DriverUnavailable):
            self._may_run = False
            raise NotClaimed(f"{container.spec.name}: its engine was away at its claim") from error
        return False

    async def _take_another(self) -> None:
        """The next container, with all that was placed in the workspace of the dead one."""
        dead = self.container
        taken = self.stock.take_another(dead)
        if taken is None:
            taken = self._cold_place()
            self.where = Where.COLD
        self.container = taken
        self._tries += 1
        if taken.workspace != dead.workspace:
            await anyio.to_thread.run_sync(_move_all, dead, taken)
        await self._tools.disposal.take(dead)

    # -- cold --

    async def _start(self, order: Order) -> Ending | None:
        ending: Ending | None = None
        for _ in range(START_ATTEMPTS):
            if ending is not None:
                await self._move_to_new_place()
            with self._interruptible():
                async with self._tools.starting:
                    ending = await self._start_here(order)
            if self._stopped is not None and not self._may_run:
                return _never_began()
            if ending is None or not ending.transient:
                return ending
        return ending

    async def _start_here(self, order: Order) -> Ending | None:
        container = self.container
        spec = cold(container.spec, order.claim, order.limits)
        self._tools.watch.expect(container)
        problem: InfrastructureError | None = None
        try:
            await self.stock.prepare()
            for pause_s in _pauses():
                container.asked = self._may_run = True
                try:
                    handle = await self._driver.start(spec)
                except MayHaveRun:
                    raise
                except (Unknown, DriverUnavailable) as error:
                    problem = error
                    await anyio.sleep(pause_s)
                    if container.ending is not None:
                        return container.ending
                else:
                    container.exists(handle, self._now())
                    self.stock.follow_cold(container)
                    self._runs()
                    return None
        except NotStarted as error:
            self._may_run = False
            return replace(not_started(error), transient=error.transient)
        except MayHaveRun as error:
            return lost(error.message)
        except InfrastructureError as error:
            self._may_run = False
            return start_error(str(error))
        return lost(f"whether it started could not be known: {problem}")

    async def _move_to_new_place(self) -> None:
        old = self.container
        new = self._tools.session.new_container(self.stock.specs)
        new.claimed = True
        if new.workspace != old.workspace:
            await anyio.to_thread.run_sync(_move_all, old, new)
        self.container = new
        self._tries += 1
        await self._tools.disposal.take(old)

    # -- running --

    def _runs(self) -> None:
        self._running_at = self._now()
        self.container.since_s = self._running_at

    async def _see_through(self, order: Order) -> Ending:
        """Wait for its end, and end it where its time is up, its pool is closed, or nobody can hear it any more."""
        container = self.container
        with self._interruptible(), anyio.move_on_after(order.bound_s(self.stock)) as bound:
            await container.ended.wait()
        if container.ending is not None:
            self._stopped = None
            return container.ending
        if bound.cancelled_caught and self._stopped is None:
            self._stopped = StopReason.TIMEOUT
        await self._stop(order.grace_s)
        with anyio.move_on_after(END_S):
            await container.ended.wait()
        return self.container.ending or lost("it was stopped, and how it ended was not told")

    async def _stop(self, grace_s: float) -> bool:
        """True where it is certain that it does not run any more."""
        container = self.container
        for pause_s in _pauses():
            try:
                await self._driver.stop(container.handle_or_name(self._driver.name), grace_s)
            except InfrastructureError as error:
                _log.warning("a stop is not known", name=container.spec.name, problem=str(error))
                await anyio.sleep(pause_s)
            else:
                return True
        return False

    async def _read_out(self) -> None:
        """Until all of its output has come, or as long as it may take."""
        with anyio.move_on_after(LOG_S):
            await self.container.output.closed.wait()
            return
        self.container.output.miss(NO_LOG)

    # -- reused --

    async def _reuse(self, order: Order) -> Ending | None:
        container = self.container
        assert container.reusable is not None
        container.output = Output(container.output.stdout.limit_bytes)
        self._listen(order)
        self._may_run, execution = True, None
        try:
            with self._interruptible(), anyio.move_on_after(order.bound_s(self.stock)) as bound:
                async with container.turn:
                    self._runs()
                    execution = await container.reusable.execute(order.claim, container.output.take)
        except (NotClaimed, InputError):
            self._may_run, self._running_at = False, None
            raise
        except InfrastructureError as error:
            with anyio.move_on_after(REUSED_END_S):
                await container.ended.wait()
            return container.ending or lost(f"its container ended under it: {error.message}")
        if execution is not None:
            self._may_run, self._returned = False, execution.clean
            if not execution.clean:
                _log.warning("a reused container is replaced", name=container.spec.name, problem=execution.problem)
            return exited(execution.exit_code)
        if bound.cancelled_caught and self._stopped is None:
            self._stopped = StopReason.TIMEOUT
        return Ending(kind=VerdictKind.FAILED, evidence=Evidence(signal="SIGKILL", signal_sender="wavepool"))

    # -- telling --

    def _result(self, ending: Ending) -> TaskExecution:
        container, output = self.container, self.container.output
        result = TaskExecution(
            agent_type=self.stock.name,
            attempt=container.spec.attempt,
            container=container.spec.name if container.asked else "",
            where=self.where,
            verdict=verdict_of(ending, self._stopped),
            stdout=output.stdout.value(),
            stderr=output.stderr.value(),
            dropped_bytes=output.stdout.dropped + output.stderr.dropped,
            gap=output.gap,
            timings=Timings(
                claimed_s=self._since(self._claimed_at),
                running_s=self._since(self._running_at),
                first_byte_s=self._since(output.first_at),
                ended_s=self._since(self._ended_at),
                total_s=self._now() - self._submitted_s,
            ),
            started_at=ending.started_at,
            finished_at=ending.finished_at,
            tries=self._tries,
        )
        if result.dispatch_s is not None:
            self.stock.book.dispatched(_DISPATCH[self.where], result.dispatch_s)
        return result

    def _took_s(self) -> float | None:
        return None if self._running_at is None else (self._ended_at or self._now()) - self._running_at

    def _since(self, moment_s: float | None) -> float | None:
        return None if moment_s is None else moment_s - self._submitted_s

    @staticmethod
    def _now() -> float:
        return anyio.current_time()


def _move_all(old: Container, new: Container) -> None:
    """What was placed in one workspace goes into the other; nothing ran in either. Blocks."""
    for name in os.listdir(old.workspace):
        os.rename(old.workspace / name, new.workspace / name)


def _never_began() -> Ending:
    return Ending(kind=VerdictKind.CANCELLED, evidence=Evidence(reason="nothing of it ran"))


def _pauses() -> list[float]:
    return [FIRST_PAUSE_S * 2**n for n in range(TRIES)]


_DISPATCH = {
    Where.WARM: Dispatch.EXACT,
    Where.REUSED: Dispatch.EXACT,
    Where.RESIZED: Dispatch.RESIZED,
    Where.COLD: Dispatch.COLD,
}
