"""Warm pools: containers that wait for their task, by agent type."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from wavepool.core.pools import AlertBook, PoolMetrics, PoolReading, metrics_of
from wavepool.drivers.base import Driver, LogChunk, PullProgress, Usage
from wavepool.drivers.parking import OutputSink
from wavepool.engine.clock import Clock, SystemClock
from wavepool.engine.pools.calm import Calm
from wavepool.engine.pools.cancelling import Stop
from wavepool.engine.pools.disposal import Disposal
from wavepool.engine.pools.health import HealthCheck
from wavepool.engine.pools.lease import Lease
from wavepool.engine.pools.looking import Looking
from wavepool.engine.pools.orders import GRACE_S, order_of
from wavepool.engine.pools.output import OUTPUT_LIMIT_BYTES
from wavepool.engine.pools.placing import check_placing, placed
from wavepool.engine.pools.results import TaskExecution
from wavepool.engine.pools.session import PoolSession, new_session_id
from wavepool.engine.pools.stock import Stock, Tools
from wavepool.engine.pools.tasks import TaskRun
from wavepool.engine.pools.telling import container_infos, status_of
from wavepool.engine.pools.types import Types
from wavepool.engine.pools.watching import PoolWatch
from wavepool.errors import InvariantBroken
from wavepool.model import LOG_LIMIT_BYTES, Limits, PoolsConfig
from wavepool.statedir import StateDir

PARALLEL_COLD_STARTS = 5
"""Default: so many cold starts are under way at once; the engine serves more of them only later."""

ALERTS_S = 10.0
"""Between two looks for warnings."""

CLOSING_S = 60.0
"""How long tasks that were cancelled by the end of their pool have to end; then their containers are removed."""


class ContainerPool:
    """Pools of containers, one for each agent type. Use it as an async context manager: at its end nothing is left.

    Args:
        config: the agent types that are known, and which of them are kept warm from the beginning; any other that is
            known is, from its first task on.
        driver: open; closed by its owner.
        state_dir: where the session's directory is made.
        on_demand: whether a type that is not known is made after the fallback; else it is refused.
        pull: ``missing``, ``always`` or ``never``.
        pulling: told how image pulls go on.
        notice: takes sentences for a person.
        parallel: cold starts under way at once.
        output_limit_bytes: of each stream of a task so much is kept, the newest.
        log_limit_bytes: of each container's log so much is kept by the engine.

    Raises:
        InputError: a type or its sizes cannot be.
    """

    def __init__(
        self,
        config: PoolsConfig,
        *,
        driver: Driver,
        state_dir: StateDir,
        on_demand: bool = True,
        pull: str = "missing",
        pulling: PullProgress | None = None,
        notice: Callable[[str], None] = lambda text: None,
        parallel: int = PARALLEL_COLD_STARTS,
        output_limit_bytes: int = OUTPUT_LIMIT_BYTES,
        log_limit_bytes: int = LOG_LIMIT_BYTES,
        clock: Clock | None = None,
    ) -> None:
        self._config = config
        self._driver = driver
        self._state_dir = state_dir
        self._pull, self._pulling = pull, pulling
        self._notice = notice
        self._parallel = parallel
        self._output_limit_bytes = output_limit_bytes
        self._alerts = AlertBook(config.alerts)
        self._clock = clock or SystemClock()
        self._stack = AsyncExitStack()
        self._types = Types(
            config,
            driver=driver,
            tools=self._held,
            on_demand=on_demand,
            notice=notice,
            log_limit_bytes=log_limit_bytes,
        )
        self._runs: set[TaskRun] = set()
        self._looking = Looking(driver, lambda: self._runs)
        self._left = anyio.Event()
        self._tools: Tools | None = None
        self.left_behind: list[str] = []
        """After the end: what could not be removed, in sentences."""

    # -- opening and closing --

    async def __aenter__(self) -> Self:
        """Open a session; containers are made from now on, in the background.

        Raises:
            DriverUnavailable: the engine cannot be reached.
            InfrastructureError: the state directory cannot be written to.
            InputError: a type names a user that processes of this host cannot run as.
        """
        async with AsyncExitStack() as stack:
            self._types.contained = (await self._driver.probe()).execution_mode == "docker"
            for name in self._config.warm:
                self._types.check_user(self._config.of(name))
            session = PoolSession(
                driver=self._driver,
                state_dir=self._state_dir,
                files=self._state_dir.run(new_session_id(self._clock)),
                output_limit_bytes=self._output_limit_bytes,
            )
            self.left_behind = await stack.enter_async_context(session.held())
            watch, calm = PoolWatch(self._driver, session.scope, self._types.try_again), Calm()
            disposal = stack.enter_context(Disposal(session, watch, calm))
            group = await stack.enter_async_context(anyio.create_task_group())
            self._tools = Tools(
                session=session,
                watch=watch,
                disposal=disposal,
                calm=calm,
                group=group,
                starting=anyio.CapacityLimiter(self._parallel),
                notice=self._notice,
                pull=self._pull,
                pulling=self._pulling,
            )
            group.start_soon(self._stand_by)
            await group.start(watch.run)
            group.start_soon(disposal.run)
            group.start_soon(self._tell_alerts)
            self._types.say_what_cannot_be()
            for name in self._config.warm:
                self._types.open(self._config.of(name))
            if self._config.preload:
                group.start_soon(self._types.preload, self._pull, self._pulling)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        """Cancel what still runs, and remove everything: containers, networks, slots, the session's directory."""
        scope = self._held().group.cancel_scope
        if scope.cancel_called:  # something in the background failed: it is raised, and the block was ended for it
            return await self._stack.__aexit__(exc_type, exc, tb)
        with anyio.CancelScope(shield=True):
            await self._close()
        scope.cancel()
        await self._stack.__aexit__(None, None, None)
        return None

    async def _stand_by(self) -> None:
        """However the pool ends: nothing begins after that, and nobody waits for what will not come."""
        try:
            await anyio.sleep_forever()
        finally:
            self._refuse_all()

    def _refuse_all(self) -> None:
        self._types.closing = True
        for run in self._runs:
            run.cancel()
        for stock in self._types.stocks.values():
            stock.close()

    async def _close(self) -> None:
        self._refuse_all()
        tools = self._held()
        with anyio.move_on_after(CLOSING_S):
            while self._runs:
                await self._left.wait()
            # Neither is cut off: an engine that removes what it is just making miscounts its network afterwards.
            await tools.refilling.acquire()
            await tools.disposal.finish()

    def _held(self) -> Tools:
        if self._tools is None:
            raise InvariantBroken("a pool is used before it was opened: async with ContainerPool(...) as pool")
        return self._tools

    # -- tasks --

    async def execute(
        self,
        agent_type: str,
        command: Sequence[str] | None,
        *,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        prompt: str = "",
        directory: str = "",
        workspace: Path | None = None,
        limits: Limits | None = None,
        timeout_s: float | None = None,
        grace_s: float = GRACE_S,
        on_output: OutputSink | None = None,
        stop: Stop | None = None,
        name: str = "",
    ) -> TaskExecution:
        """Run one task, at most once: in a container that is ready, or, where none is, in a new one at once.

        Cancelled, it stops the task and has its container removed.

        Args:
            agent_type: one that was named, or any other where there is a default.
            command: argv; None for the image's own entrypoint.
            env: over the agent type's variables.
            secrets: name -> value; files in /run/secrets. Refused where containers are reused.
            prompt: delivered byte for byte as the file that TASK_PROMPT_FILE names.
            directory: where it runs inside; empty for /workspace.
            workspace: a directory on the state directory's file system: what is in it is moved into the task's own
                workspace before, and back after. None: that is empty, and gone with the task.
            limits: other limits than the agent type's: the container is resized first.
            timeout_s: from its start; then it is stopped, and its verdict is timeout. None: as the pools are set up.
            grace_s: how long it has to end by itself where it is stopped.
            on_output: told each piece of its output, from the loop: it must not block.
            stop: ends it from outside.
            name: what `usage` and `output` find it by while it runs; empty for nobody.

        Raises:
            InputError: what is asked for cannot be; nothing was started.
            PoolDrained: it takes no tasks until it is opened again.
            InfrastructureError: it is closing.
            Exception: what `on_output` raised; the task was stopped.
        """
        submitted_s = anyio.current_time()
        stock = self._types.stock(agent_type)
        order = order_of(
            stock,
            command,
            env=env,
            secrets=secrets,
            prompt=prompt,
            directory=directory,
            limits=limits,
            timeout_s=self._config.timeout_s if timeout_s is None else timeout_s,
            grace_s=grace_s,
            on_output=on_output,
        )
        if workspace is not None:
            check_placing(stock, workspace)
        async with AsyncExitStack() as stack:
            task = await stack.enter_async_context(self._running(stock, submitted_s, name))
            if stop is not None:
                stop.lead_to(task.cancel)
            if workspace is not None:
                await stack.enter_async_context(placed(workspace, stock, task))
            return await task.run(order)

    @asynccontextmanager
    async def claim(self, agent_type: str) -> AsyncIterator[Lease]:
        """A container for one task, that nobody else gets; at the end of the block it is gone, with its workspace.

        Raises:
            InputError: there is no such agent type.
            PoolDrained: it takes no tasks until it is opened again.
            InfrastructureError: it is closing, or there is no room for a workspace.
        """
        stock = self._types.stock(agent_type)
        async with self._running(stock, anyio.current_time()) as task:
            yield Lease(stock, task, self._config.timeout_s)

    @asynccontextmanager
    async def _running(self, stock: Stock, submitted_s: float, name: str = "") -> AsyncIterator[TaskRun]:
        task = TaskRun(stock, self._held(), submitted_s, name)
        self._runs.add(task)
        try:
            yield task
        finally:
            try:
                await task.leave()
            finally:
                self._runs.discard(task)
                self._left.set()
                self._left = anyio.Event()

    # -- upkeep --

    async def warm(self, types: Iterable[str] | None = None, *, count: int | None = None) -> None:
        """Return once containers are idle: of each of these types (all) `count`, or its minimum. Types that start cold
        are not waited for. A type that is named and was drained takes tasks again.

        Raises:
            InputError: no such agent type; `count` is out of its pool's bounds; a workspace is missing.
            InfrastructureError: they cannot be made, or the pool ends.
        """
        stocks = (
            [self._types.reopened(name) for name in types] if types is not None else list(self._types.stocks.values())
        )
        for stock in stocks:
            if count is not None and stock.book.target < count:
                self.scale(stock.name, count)
        for stock in stocks:
            least = stock.book.settings.min_size if count is None else count
            await stock.ready(min(least, stock.book.target))

    async def filled(self) -> None:
        """Return once each type that is warm from the beginning has as many as it wants by now. Opens and resizes
        nothing: one that was drained is not waited for, nor one that starts cold.

        Raises:
            InfrastructureError: they cannot be made, or the pool ends.
            InputError: a workspace is missing.
        """
        for name in self._config.warm:
            await self._types.stocks[name].ready()

    def scale(self, agent_type: str, size: int) -> None:
        """Keep so many containers of a type from now on, until the demand asks for others; one that was drained takes
        tasks again.

        Raises:
            InputError: not between its pool's `min_size` and `max_size`, or no such agent type.
        """
        stock = self._types.reopened(agent_type)
        stock.book.resize(size)
        stock.change()

    async def drain(self, types: Iterable[str] | None = None) -> None:
        """Take no more tasks of these types (all), let those end that run, and return when no container is left,
        when they are opened again, or when the pool ends.

        Raises:
            InputError: no such agent type.
            InfrastructureError: the pool has ended, and one of them was never opened.
        """
        names = list(self._types.stocks) if types is None else list(types)
        stocks = [self._types.known(name) for name in names]
        for stock in stocks:
            stock.drain()
        while any(run.stock.drained and run.stock in stocks for run in self._runs):
            await self._left.wait()
        for stock in stocks:
            await stock.emptied()
        await self._held().disposal.settled()

    async def check_health(self) -> int:
        """Check every idle container now; how many were found ill, and are being replaced."""
        return sum([await HealthCheck(stock, self._driver).check() for stock in list(self._types.stocks.values())])

    # -- telling --

    async def usage(self, names: Collection[str]) -> Mapping[str, Usage]:
        """One reading of each task of these names that runs. Raises DriverUnavailable."""
        return await self._looking.usage(names)

    def output(self, name: str, *, follow: bool) -> AbstractAsyncContextManager[AsyncIterator[LogChunk]]:
        """What the task of this name has written, from its start; with `follow` to its end.

        Raises:
            NoSuchAttempt: inside, where none of that name runs, or it runs in a container that is reused.
            DriverUnavailable: inside.
        """
        return self._looking.output(name, follow=follow)

    @property
    def session(self) -> str:
        """The id that containers of this pool carry as their run."""
        return self._held().session.id

    def readings(self) -> tuple[PoolReading, ...]:
        """Each type's pool as it stands; all of it is counted or measured."""
        now_s = anyio.current_time()
        return tuple(stock.book.snapshot(now_s) for stock in self._types.stocks.values())

    def metrics(self) -> PoolMetrics:
        """The seed's metrics over all types."""
        return metrics_of(self.readings())

    def containers(self) -> list[dict[str, object]]:
        """The seed's nine fields of each pooled container."""
        return container_infos(self._types.stocks.values(), self._clock)

    def status(self) -> dict[str, object]:
        """All that the pool tells of itself, ready for JSON."""
        return status_of(self._held().session, self._types.stocks.values(), self._alerts.active, self._clock)

    # -- inside --

    async def _tell_alerts(self) -> None:
        while True:
            await anyio.sleep(ALERTS_S)
            for alert in self._alerts.look(self.metrics()):
                self._notice(alert.text)
