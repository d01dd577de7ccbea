"""The agent types of a pool, and the stock of each: known, made on demand, drained and opened again."""

from __future__ import annotations

from collections.abc import Callable

from wavepool.core.pools import PoolBook
from wavepool.drivers.base import Driver, Needs, PullProgress
from wavepool.drivers.parking import SupportsParking, SupportsReuse
from wavepool.engine.attempts.companions import DATA_UID
from wavepool.engine.pools.health import HealthCheck
from wavepool.engine.pools.specs import SpecMaker, check_pool, check_process_user, user_of
from wavepool.engine.pools.stock import Stock, Tools
from wavepool.errors import InfrastructureError, InputError, PoolDrained
from wavepool.model import AgentType, PoolsConfig, PoolSpec

TYPES_MAX = 256
"""Agent types of one pool, those that are made on demand included."""


class Types:
    """Finds the stock that a task belongs to.

    Args:
        config: the agent types that are known, and which of them are kept warm from the beginning.
        driver: open.
        tools: what stocks work with, once the pool is open.
        on_demand: whether a type that is not known is made after the fallback; else it is refused.
        notice: takes sentences for a person.
        log_limit_bytes: of each container's log so much is kept by the engine.

    Attributes:
        stocks: of the types that were opened, by name.
        contained: whether tasks run in containers.
        closing: nothing begins any more.

    Raises from making it:
        InputError: a type or its sizes cannot be.
    """

    def __init__(
        self,
        config: PoolsConfig,
        *,
        driver: Driver,
        tools: Callable[[], Tools],
        on_demand: bool,
        notice: Callable[[str], None],
        log_limit_bytes: int,
    ) -> None:
        for spec in (*config.types.values(), *((config.fallback,) if on_demand else ())):
            check_pool(spec)
        self.stocks: dict[str, Stock] = {}
        self.contained = True
        self.closing = False
        self._config = config
        self._driver = driver
        self._tools = tools
        self._on_demand = on_demand
        self._notice = notice
        self._log_limit_bytes = log_limit_bytes

    def known(self, name: str) -> Stock:
        """The stock of a type that was named before; one that had no task yet is opened. Raises InputError."""
        if name in self.stocks:
            return self.stocks[name]
        if name in self._config.types:
            return self.open(self._config.types[name])
        there = ", ".join(sorted({*self.stocks, *self._config.types})) or "none"
        raise InputError(
            f"got agent type {name!r}, expected one of those that there are: {there}",
            advice="A type is there once the settings of the pools name it, or a task of it was run.",
            code="unknown_agent_type",
        )

    def stock(self, name: str) -> Stock:
        """The stock of a type that may have tasks; made on demand.

        Raises:
            InputError: there is no such agent type, or there are too many.
            PoolDrained: it takes no tasks until it is opened again.
            InfrastructureError: the pool is closing.
        """
        self._refuse_late(name)
        if name in self.stocks and self.stocks[name].drained:
            raise PoolDrained(
                f"agent type {name}: its pool is drained, and takes no more tasks",
                advice=f"`wavepool pool warm {name}` opens it again, as `warm` and `scale` do in Python.",
            )
        if name in self.stocks or name in self._config.types or not self._on_demand:
            return self.known(name)
        check_pool(self._config.of(name))
        if len(self.stocks) >= TYPES_MAX:
            raise InputError(
                f"got agent type {name!r}, expected one of the {TYPES_MAX} that there are",
                advice="Each type has containers and a network of its own: use one type for tasks of one kind, and "
                "tell them apart by their variables.",
                code="too_many_agent_types",
            )
        self._notice(f"agent type {name} was not named: its pool is made now, with the default settings")
        return self.open(self._config.of(name))

    def reopened(self, name: str) -> Stock:
        """The stock of a type that somebody wants to be ready: one that is there, as nothing but a task makes one on
        demand. One that was drained is opened again. Raises InputError, InfrastructureError."""
        stock = self.stocks.get(name)
        if stock is not None and stock.drained and not self.closing:
            stock.reopen()
        self._refuse_late(name)
        return self.known(name)

    def _refuse_late(self, name: str) -> None:
        if self.closing:
            raise InfrastructureError(
                f"agent type {name}: its pool is closing, and takes no more tasks",
                advice="Open another one (`wavepool serve`, when this one has ended) for what is still to be done.",
                code="pool_closing",
            )

    def open(self, spec: PoolSpec) -> Stock:
        """Begin to keep containers of a type. Raises InputError, InfrastructureError."""
        self._refuse_late(spec.agent.name)
        self.check_user(spec)
        tools, agent, settings = self._tools(), spec.agent, spec.settings
        specs = SpecMaker(
            owner=tools.session.owner,
            run_id=tools.session.id,
            agent=agent,
            settings=settings,
            contained=self.contained,
            log_limit_bytes=self._log_limit_bytes,
        )
        self._warn_of_workspace(agent)
        stock = Stock(book=PoolBook(agent, settings), specs=specs, tools=tools, cold=self._why_cold())
        self.stocks[agent.name] = stock
        if not stock.cold:
            tools.group.start_soon(stock.keep)
            tools.group.start_soon(HealthCheck(stock, self._driver).run)
        return stock

    def check_user(self, spec: PoolSpec) -> None:
        """See that its tasks can run as whoever it names. Raises InputError."""
        if not self.contained:
            check_process_user(spec.agent)

    def _why_cold(self) -> str:
        if isinstance(self._driver, SupportsParking | SupportsReuse):
            return ""
        return f"the {self._driver.name} driver cannot start anything ahead"

    def try_again(self) -> None:
        """The engine may have been away: what could not be made then is tried again at once."""
        for stock in self.stocks.values():
            stock.try_again()

    def say_what_cannot_be(self) -> None:
        """What of the settings the driver cannot do, to a person."""
        if why := self._why_cold():
            self._notice(f"every task starts cold: {why}")
        elif not isinstance(self._driver, SupportsReuse) and self._reuses():
            self._notice(f"the {self._driver.name} driver cannot reuse containers: each is used once")

    def _reuses(self) -> bool:
        return any(spec.settings.reuse for spec in (self._config.fallback, *self._config.types.values()))

    async def preload(self, pull: str, pulling: PullProgress | None) -> None:
        """Have the images of all known types at hand; one that cannot be had is told when it is needed."""
        images = tuple(sorted({spec.agent.image for spec in self._config.types.values()}))
        try:
            await self._driver.prepare(Needs(images=images, pull=pull), pulling)
        except InfrastructureError as error:
            self._notice(f"not every image could be had before it is needed: {error.message}")

    def _warn_of_workspace(self, agent: AgentType) -> None:
        if self.contained and agent.workspace is not None and agent.user is None:
            ids = user_of(agent)
            if ids == f"{DATA_UID}:{DATA_UID}":
                self._notice(
                    f"agent type {agent.name}: its workspace belongs to root, and its tasks run as {ids}: "
                    "they can read it, and may not write to it. Name another `user` to change that."
                )
