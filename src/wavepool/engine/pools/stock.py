"""The containers of one agent type: kept at hand as the book says, handed out at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from wavepool.core.pools import Park, PoolBook
from wavepool.drivers.base import PullProgress
from wavepool.drivers.parking import SupportsParking, SupportsReuse
from wavepool.engine.pools.calm import Calm
from wavepool.engine.pools.containers import Container
from wavepool.engine.pools.disposal import Disposal
from wavepool.engine.pools.session import PoolSession
from wavepool.engine.pools.specs import SpecMaker
from wavepool.engine.pools.watching import LogFollower, PoolWatch
from wavepool.errors import (
    CannotPark,
    DriverUnavailable,
    InfrastructureError,
    NotStarted,
    PrepareError,
    Unknown,
    WavepoolError,
)

PATIENT_TRIES = 3
"""Containers in a row that cannot be made, before whoever waits for them is told."""

LOW_PART = 0.25
"""While more than this part of the target is at hand, a refill waits for a pause between claims."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What all stocks of a pool share.

    Attributes:
        refilling: held while a container is made ahead: one at a time in the whole pool.
        starting: cold starts that are under way.
        group: for what goes on in the background.
        notice: takes sentences for a person.
        pull, pulling: how images are got, and who is told.
    """

    session: PoolSession
    watch: PoolWatch
    disposal: Disposal
    calm: Calm
    group: TaskGroup
    starting: anyio.CapacityLimiter
    notice: Callable[[str], None]
    pull: str
    pulling: PullProgress | None
    refilling: anyio.Lock = field(default_factory=anyio.Lock)


class Stock:
    """One agent type's containers.

    Args:
        cold: why this type has none ahead from the beginning; empty where it has.

    Attributes:
        cold: why every task of it starts cold; empty where its containers are parked.
        containers: those in the book, idle or busy, by key.
        drained: it takes no more tasks.
        closed: its pool ends: nothing is made any more, and nobody waits for that.
        trouble: the newest error of making one ahead; None after a success.
    """

    def __init__(self, *, book: PoolBook, specs: SpecMaker, tools: Tools, cold: str = "") -> None:
        self.book = book
        self.specs = specs
        self.cold = cold
        self.containers: dict[str, Container] = {}
        self.drained = False
        self.closed = False
        self.trouble: WavepoolError | None = None
        self.reuses = book.settings.reuse and isinstance(tools.session.driver, SupportsReuse)
        self._tools = tools
        self._follower = LogFollower(tools.session.driver, self._fell_silent)
        self._prepared = False
        self._preparing = anyio.Lock()
        self._changed = anyio.Event()

    @property
    def name(self) -> str:
        """Of the agent type."""
        return self.book.agent.name

    # -- handing out --

    def take(self) -> Container | None:
        """A task came: the container that is its own from now on; None for a miss."""
        return self._handed(self.book.claim(anyio.current_time()))

    def take_another(self, dead: Container) -> Container | None:
        """The container of a task was dead before it ran anything: another one, or None for a miss after all."""
        self.containers.pop(dead.key, None)
        return self._handed(self.book.claim_failed(dead.key, anyio.current_time()))

    def take_back(self, container: Container, took_s: float) -> None:
        """A reused container has run its task and is clean."""
        container.claimed = False
        self.book.returned(container.key, anyio.current_time(), took_s)
        self.change()

    def give_up(self, container: Container, took_s: float | None) -> None:
        """A container is used no more; `took_s` as in the book. Whoever had it disposes of it."""
        if self.containers.pop(container.key, None) is not None:
            self.book.ended(container.key, anyio.current_time(), took_s)
            self.change()

    def _handed(self, key: str | None) -> Container | None:
        self.change()
        if key is None:
            return None
        container = self.containers[key]
        container.claimed = True
        return container

    # -- cold starts --

    def cold_began(self) -> None:
        """A miss goes into a container of its own."""
        self.book.cold_began(anyio.current_time())

    def cold_ended(self, took_s: float | None) -> None:
        """It is over."""
        self.book.cold_ended(anyio.current_time(), took_s)
        self.change()

    def follow_cold(self, container: Container) -> None:
        """Read the output of a container that was started cold."""
        self._tools.group.start_soon(self._follower.follow, container)

    async def prepare(self) -> None:
        """See once that image and network are there. Raises as `PoolSession.prepare`."""
        if self._prepared:
            return
        async with self._preparing:
            if not self._prepared:
                await self._tools.session.prepare(self.specs, self._tools.pull, self._tools.pulling)
                self._prepared = True

    def refused(self, error: NotStarted) -> None:
        """A container could not be started. Unless that is its program's fault, image or network may be gone."""
        if error.program_exit_code is None:
            self._prepared = False

    # -- keeping --

    def change(self) -> None:
        """Something is different: whoever waits looks again."""
        self._changed.set()
        self._changed = anyio.Event()

    def _at_hand(self) -> int:
        """What counts for its target: with reuse those too that run a task, as they come back."""
        busy = sum(each.claimed for each in self.containers.values()) if self.reuses else 0
        return self.book.idle + busy

    async def ready(self, count: int | None = None) -> None:
        """Until so many are at hand, or all that it wants by now; at once where every task of this type starts cold.

        Raises:
            WavepoolError: they cannot be made, or their pool ends.
        """
        while self._at_hand() < self._wanted(count) and not self.cold:
            if self.closed:
                words = f"agent type {self.name}: its pool has ended, and makes no more containers"
                raise InfrastructureError(words, code="pool_closing")
            if self.trouble is not None and (self.book.failures >= PATIENT_TRIES or _is_final(self.trouble)):
                raise self.trouble
            await self._changed.wait()

    def _wanted(self, count: int | None) -> int:
        return self.book.target if count is None else min(count, self.book.target)

    def try_again(self) -> None:
        """What could not be made for want of an engine may be made now."""
        if isinstance(self.trouble, DriverUnavailable | Unknown):
            self.book.try_again()
            self.change()

    def drain(self) -> None:
        """No more tasks, and no more containers: those that are idle go."""
        self.drained = True
        self.book.drain()
        self.change()

    def reopen(self) -> None:
        """After `drain`: tasks and containers again."""
        self.drained = False
        self.book.reopen()
        self.change()

    def close(self) -> None:
        """Its pool ends, which takes away all that there is."""
        self.closed = True
        self.change()

    async def emptied(self) -> None:
        """Until none of its containers is left to it, after `drain`; or until it is opened again, or its pool ends."""
        while self.drained and self.containers and not self.closed:
            await self._changed.wait()

    async def keep(self) -> None:
        """Make and take away as the book says, until its pool ends; where every task starts cold, take away only."""
        while not self.closed:
            changed = self._changed
            if await self._act() and not self.cold:
                await self._refill()
                continue
            wait_s = self.book.next_look_s(anyio.current_time())
            with anyio.move_on_after(wait_s):
                await changed.wait()

    def found_ill(self, container: Container) -> None:
        """A health check failed: it goes, and is replaced."""
        self.book.unhealthy(container.key, anyio.current_time())
        self.change()

    async def _act(self) -> bool:
        """Take away what the book has given up; True where it wants one more."""
        wants, target = False, self.book.target
        decisions = self.book.decide(anyio.current_time())
        if self.book.target != target:
            self.change()  # whoever waits for so many waits for others now
        for decision in decisions:
            if isinstance(decision, Park):
                wants = True
            elif (container := self.containers.pop(decision.key, None)) is not None:  # else it has died meanwhile
                await self._tools.disposal.take(container)
                self.change()
        return wants

    async def _refill(self) -> None:
        if not await self._prepare_ahead():
            return
        async with self._tools.refilling:
            await self._wait_for_calm()
            if self.closed or not await self._act():  # while we waited, it may have changed its mind
                return
            self.book.begin_park(anyio.current_time())
            container: Container | None = None
            try:
                container = await self._park()
            finally:
                self._tell(container)
        self.change()

    async def _wait_for_calm(self) -> None:
        """Making one keeps a small machine busy for a quarter of a second, which a claim then would notice."""
        if self.book.idle > LOW_PART * self.book.target:
            await self._tools.calm.wait_for_pause()
        else:
            await self._tools.calm.wait()

    async def _prepare_ahead(self) -> bool:
        """Before its turn: a pull may take minutes, in which others want to be filled. False where it failed."""
        try:
            await self.prepare()
        except WavepoolError as error:
            self._fails(error)
            self.book.begin_park(anyio.current_time())
            self.book.park_failed(anyio.current_time())
            self.change()
            return False
        return True

    def _fails(self, error: WavepoolError) -> None:
        if self.trouble is None or str(self.trouble) != str(error):
            self._tools.notice(f"agent type {self.name}: no container could be made ahead: {error.message}")
        self.trouble = error

    def _tell(self, container: Container | None) -> None:
        now_s = anyio.current_time()
        if container is None:
            self.book.park_failed(now_s)
            return
        self.trouble = None
        self.containers[container.key] = container
        self.book.parked(container.key, now_s)

    async def _park(self) -> Container | None:
        container: Container | None = None
        try:
            container = self._tools.session.new_container(self.specs)
            await self._make(container)
        except CannotPark as error:
            self.cold = error.message
            self._tools.notice(f"agent type {self.name}: every task starts cold: {error.message}")
        except WavepoolError as error:
            if isinstance(error, NotStarted):
                self.refused(error)
            self._fails(error)
        else:
            return container
        if container is not None:
            await self._tools.disposal.take(container)
        return None

    async def _make(self, container: Container) -> None:
        """Park it, and read its log. Raises as `SupportsParking.park`."""
        driver = self._tools.session.driver
        self._tools.watch.expect(container)
        container.asked = True
        if self.reuses and isinstance(driver, SupportsReuse):
            container.reusable = await self._tools.session.open_reusable(driver, container.spec)
            container.exists(container.reusable.handle, anyio.current_time())
            self._tools.group.start_soon(self._mourn, container)
            return
        assert isinstance(driver, SupportsParking), "a driver that cannot park has no stock"
        container.exists(await driver.park(container.spec), anyio.current_time())
        await self._tools.group.start(self._follower.follow, container)
        if container.output.closed.is_set():
            raise NotStarted(f"{container.spec.name} ended as soon as it was parked", transient=True)

    async def _mourn(self, container: Container) -> None:
        """A reused container keeps no log: that it is dead is told by the watch."""
        with container.follow:
            await container.ended.wait()
            self._fell_silent(container)

    def _fell_silent(self, container: Container) -> None:
        """The log of a container has ended: one that is idle is dead."""
        if container.claimed or self.containers.pop(container.key, None) is None:
            return
        self.book.lost(container.key, anyio.current_time())
        self._tools.group.start_soon(self._tools.disposal.take, container)
        self.change()


def _is_final(trouble: WavepoolError) -> bool:
    """Trying again will not help: an image or a workspace is missing."""
    return isinstance(trouble, PrepareError) or not isinstance(trouble, InfrastructureError)
