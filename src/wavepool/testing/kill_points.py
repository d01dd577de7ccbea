"""Deaths that can be repeated: the n-th point of a run raises `Killed`, and so does every later one.

A harness runs once to count the points, then once for each of them, each time with the same seed::

    switch = KillSwitch(kill_at=n)
    with until_killed(switch):
        await run(wrap_driver(driver, switch), wrap_journal(journal, switch))
    # now a new process would start: recover, and compare

A dead process performs nothing more: whatever it still tries, in handlers and ``finally`` blocks too, is `Killed`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from wavepool.core.facts import Stamped
from wavepool.drivers.base import (
    AttemptSpec,
    Driver,
    DriverFacts,
    Handle,
    LogChunk,
    Needs,
    Observation,
    Prepared,
    PullProgress,
    Removed,
    Scope,
    Synced,
    Usage,
)
from wavepool.drivers.keeping import Kept, SupportsKeeping
from wavepool.drivers.parking import Claim, SupportsParking
from wavepool.journal.base import Journal

_T = TypeVar("_T")


class Killed(BaseException):
    """The process has died here. Not an `Exception`: nothing may catch it and go on."""


class KillSwitch:
    """Counts points, and dies at one of them.

    Args:
        kill_at: the number of the deadly point, from 1; None never dies.

    Attributes:
        points: the names of all points passed, the deadly one included.
        dead: True from the deadly point on.
    """

    def __init__(self, kill_at: int | None = None) -> None:
        self._kill_at = kill_at
        self.points: list[str] = []
        self.dead = False

    async def point(self, name: str) -> None:
        """A moment at which a process might die. Does not let other tasks run.

        Raises:
            Killed: this is the deadly point, or a later one.
        """
        self.check()
        self.points.append(name)
        if len(self.points) == self._kill_at:
            self.dead = True
            raise Killed(f"at point {self._kill_at}: {name}")

    def check(self) -> None:
        """Raises Killed after the deadly point; counts nothing."""
        if self.dead:
            raise Killed("dead already")

    async def around(self, name: str, call: Callable[[], Awaitable[_T]]) -> _T:
        """One point before the call and one after it, however it ended."""
        await self.point(f"before {name}")
        try:
            return await call()
        finally:
            await self.point(f"after {name}")


@contextmanager
def until_killed(switch: KillSwitch) -> Iterator[None]:
    """Swallow the death of `switch`; an error that came along with it (a failed assertion) is raised."""
    try:
        yield
    except Killed:
        if not switch.dead:
            raise
    except BaseExceptionGroup as group:
        others = group.split(Killed)[1]
        if others is not None:
            raise others from None


def wrap_driver(driver: Driver, switch: KillSwitch) -> Driver:
    """`driver` with kill points before and after prepare, park, start, claim, stop, keep, remove and reading logs."""
    return _MortalDriver(driver, switch)


def wrap_journal(journal: Journal, switch: KillSwitch) -> Journal:
    """`journal` with kill points before and after append and sync."""
    return _MortalJournal(journal, switch)


class _MortalDriver(Driver, SupportsKeeping, SupportsParking):
    def __init__(self, driver: Driver, switch: KillSwitch) -> None:
        self.name = driver.name
        self._driver = driver
        self._switch = switch

    async def __aenter__(self) -> Self:
        await self._driver.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        # a dead process's connections are closed by its kernel, so this is not withheld
        await self._driver.__aexit__(exc_type, exc, tb)

    async def probe(self) -> DriverFacts:
        self._switch.check()
        return await self._driver.probe()

    async def prepare(self, needs: Needs, progress: PullProgress | None = None) -> Prepared:
        return await self._switch.around("prepare", lambda: self._driver.prepare(needs, progress))

    async def start(self, spec: AttemptSpec) -> Handle:
        return await self._switch.around(f"start {spec.attempt}", lambda: self._driver.start(spec))

    @asynccontextmanager
    async def watch(self, scope: Scope) -> AsyncIterator[AsyncIterator[Observation | Synced]]:
        self._switch.check()
        async with self._driver.watch(scope) as states:
            yield _MortalStream(states, self._switch)

    def logs(
        self, handle: Handle, since: datetime | None = None, *, follow: bool = True
    ) -> AbstractAsyncContextManager[AsyncIterator[LogChunk]]:
        return self._logs(handle, since, follow)

    @asynccontextmanager
    async def _logs(
        self, handle: Handle, since: datetime | None, follow: bool
    ) -> AsyncIterator[AsyncIterator[LogChunk]]:
        await self._switch.point(f"before logs {handle.attempt}")
        try:
            async with self._driver.logs(handle, since, follow=follow) as chunks:
                yield _MortalStream(chunks, self._switch)
        finally:
            await self._switch.point(f"after logs {handle.attempt}")

    async def usage(self, handles: Collection[Handle]) -> dict[Handle, Usage]:
        self._switch.check()
        return await self._driver.usage(handles)

    async def stop(self, handle: Handle, grace_s: float) -> None:
        await self._switch.around(f"stop {handle.attempt}", lambda: self._driver.stop(handle, grace_s))

    async def remove(self, target: Scope | Handle) -> Removed:
        named = target.attempt if isinstance(target, Handle) else f"wave {target.wave} of {target.run_id}"
        return await self._switch.around(f"remove {named}", lambda: self._driver.remove(target))

    @property
    def _parker(self) -> SupportsParking:
        assert isinstance(self._driver, SupportsParking)
        return self._driver

    async def park(self, spec: AttemptSpec) -> Handle:
        return await self._switch.around(f"park {spec.attempt}", lambda: self._parker.park(spec))

    async def claim(self, handle: Handle, claim: Claim) -> None:
        await self._switch.around(f"claim {handle.attempt}", lambda: self._parker.claim(handle, claim))

    async def unpark(self, handle: Handle) -> None:
        self._switch.check()
        await self._parker.unpark(handle)

    def is_parked(self, handle: Handle) -> bool:
        self._switch.check()
        return self._parker.is_parked(handle)

    def claimed_at(self, slot: Path) -> datetime | None:
        self._switch.check()
        return self._parker.claimed_at(slot)

    @property
    def _keeper(self) -> SupportsKeeping:
        assert isinstance(self._driver, SupportsKeeping)
        return self._driver

    async def keep(self, handle: Handle, reference: str) -> str:
        return await self._switch.around(f"keep {handle.attempt}", lambda: self._keeper.keep(handle, reference))

    async def kept(self, owner: str, run_id: str | None = None) -> tuple[Kept, ...]:
        self._switch.check()
        return await self._keeper.kept(owner, run_id)

    async def discard(self, kept: Kept) -> str:
        return await self._switch.around(f"discard {kept.attempt}", lambda: self._keeper.discard(kept))


class _MortalStream(AsyncIterator[_T]):
    """Tells a dead process nothing."""

    def __init__(self, stream: AsyncIterator[_T], switch: KillSwitch) -> None:
        self._stream = stream
        self._switch = switch

    async def __anext__(self) -> _T:
        self._switch.check()
        item = await anext(self._stream)
        self._switch.check()
        return item


class _MortalJournal(Journal):
    def __init__(self, journal: Journal, switch: KillSwitch) -> None:
        self._journal = journal
        self._switch = switch

    async def __aenter__(self) -> Self:
        self._switch.check()
        await self._journal.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        # closing writes only what was handed over before the death, which a real journal may have written too
        await self._journal.__aexit__(exc_type, exc, tb)

    async def append(self, facts: Sequence[Stamped], *, durable: bool = False) -> None:
        name = "+".join(type(stamped.fact).__name__ for stamped in facts) or "nothing"
        await self._switch.around(f"append {name}", lambda: self._journal.append(facts, durable=durable))

    def replay(self) -> Iterator[Stamped]:
        self._switch.check()
        return self._journal.replay()

    async def sync(self) -> None:
        await self._switch.around("sync", self._journal.sync)

    @property
    def pending(self) -> int:
        return self._journal.pending
