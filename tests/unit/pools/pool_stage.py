"""A pool on the simulated engine in virtual time: what the tests of pools share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

from wavepool.drivers.base import Handle, Needs, Prepared, PullProgress, Removed, Scope
from wavepool.drivers.memory import Fault, Hazards, MemoryDriver, MemoryWorld
from wavepool.drivers.parking import Claim
from wavepool.model import AgentType, Limits, PoolSettings
from wavepool.statedir import StateDir
from wavepool.testing.virtual_time import run_virtual
from wavepool.testing.whole_runs import VirtualClock
from wavepool.units import MIB
from wavepool.wiring import ContainerPool

CODER = AgentType(name="coder", image="simulated:latest", limits=Limits(memory_bytes=64 * MIB))
FIXED = PoolSettings(auto_scaling=False)


class StagedDriver(MemoryDriver):
    """Does `before_claim`, `after_claim` and the like around its calls: there a test lets things go wrong."""

    def __init__(self, world: MemoryWorld) -> None:
        super().__init__(world)
        self.before_claim: Callable[[Handle], Awaitable[None]] = _nothing
        self.after_claim: Callable[[Handle], Awaitable[None]] = _nothing
        self.before_prepare: Callable[[Needs], Awaitable[None]] = _nothing
        self.before_remove: Callable[[Scope | Handle], Awaitable[None]] = _nothing
        self.parks = 0

    async def park(self, spec: Any) -> Handle:
        self.parks += 1
        return await super().park(spec)

    async def claim(self, handle: Handle, claim: Claim) -> None:
        await self.before_claim(handle)
        await super().claim(handle, claim)
        await self.after_claim(handle)

    async def prepare(self, needs: Needs, progress: PullProgress | None = None) -> Prepared:
        await self.before_prepare(needs)
        return await super().prepare(needs, progress)

    async def remove(self, target: Scope | Handle) -> Removed:
        await self.before_remove(target)
        return await super().remove(target)


async def _nothing(what: object) -> None:
    return None


class OnCall(Hazards):
    """Each fault in `due` strikes once, at the next call or event that it could hit."""

    def __init__(self) -> None:
        self.due: set[Fault] = set()

    def strikes(self, fault: Fault, subject: str) -> bool:
        if fault not in self.due:
            return False
        self.due.remove(fault)
        return True

    def fraction(self, fault: Fault, subject: str) -> float:
        return 0.5


class Stage:
    """One simulated engine and a state directory; `play` runs a story with a pool in virtual time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hazards = OnCall()
        self.use(MemoryWorld(hazards=self.hazards))
        self.said: list[str] = []
        self.clock = VirtualClock()

    def use(self, world: MemoryWorld) -> None:
        """Play on this engine."""
        self.world = world
        self.driver = StagedDriver(world)

    @staticmethod
    def scope_of(pool: ContainerPool) -> Scope:
        """What the engine holds of the pool."""
        return pool._held().session.scope

    def pool(
        self, settings: PoolSettings = FIXED, *, types: tuple[AgentType, ...] = (CODER,), **more: Any
    ) -> ContainerPool:
        return ContainerPool(
            types,
            settings,
            driver=self.driver,
            state_dir=self.root,
            clock=self.clock,
            notice=self.said.append,
            **more,
        )

    def play(
        self, story: Callable[[ContainerPool], Awaitable[None]], settings: PoolSettings = FIXED, **more: Any
    ) -> None:
        """Open a pool, run the story, close it; then nothing may be left, and nothing may have run twice."""

        async def main() -> None:
            async with self.pool(settings, **more) as pool:
                await story(pool)
            assert pool.left_behind == []

        run_virtual(main)
        self.nothing_is_left()

    def nothing_is_left(self) -> None:
        assert self.world.container_names() == []
        assert self.world.networks == {}
        assert StateDir(self.root).runs() == []
        assert StateDir(self.root).half_removed() == []
        assert all(times == 1 for times in self.world.executions.values())

    def destroy(self, handle: Handle) -> None:
        """Somebody else removes a container."""
        found = self.world.find(handle)
        assert found is not None
        self.world.destroy(found)

    @property
    def executed(self) -> int:
        """Tasks that really ran."""
        return sum(self.world.executions.values())


async def all_at_once(count: int, story: Callable[[int], Awaitable[None]]) -> None:
    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(story, number)


async def until(true: Callable[[], bool], within_s: float = 600.0) -> None:
    """Wait for it, in virtual time."""
    with anyio.fail_after(within_s):
        while not true():  # noqa: ASYNC110 - in virtual time a turn costs nothing
            await anyio.sleep(0.01)


__all__ = ["CODER", "FIXED", "Stage", "StagedDriver", "all_at_once", "until"]
