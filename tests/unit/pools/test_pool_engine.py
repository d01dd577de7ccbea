"""Pools in virtual time: who gets which container, and what happens when containers die, hang or come too late."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from parking_world import ParkingDriver

from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.engine.pools import Where
from wavepool.model import AgentType, Limits, PoolSettings, VerdictKind
from wavepool.statedir import StateDir
from wavepool.testing.virtual_time import run_virtual
from wavepool.testing.whole_runs import VirtualClock
from wavepool.units import MIB
from wavepool.wiring import ContainerPool

CODER = AgentType(name="coder", image="simulated:latest", limits=Limits(memory_bytes=64 * MIB))


class Stage:
    """One simulated engine and a state directory; `play` runs a story with a pool in virtual time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.world = MemoryWorld()
        self.driver: MemoryDriver = ParkingDriver(self.world)
        self.said: list[str] = []

    def pool(
        self, settings: PoolSettings | None = None, types: tuple[AgentType, ...] = (CODER,), **more: Any
    ) -> ContainerPool:
        return ContainerPool(
            types,
            settings or PoolSettings(auto_scaling=False),
            driver=self.driver,
            state_dir=self.root,
            clock=VirtualClock(),
            notice=self.said.append,
            **more,
        )

    def play(
        self, story: Callable[[ContainerPool], Awaitable[None]], settings: PoolSettings | None = None, **more: Any
    ) -> None:
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


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_task_runs_in_a_container_that_was_ready_and_another_takes_its_place(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        done = await pool.execute("coder", ("sim", "stdout=hello", "stderr=oops", "exit=3"))
        assert (done.verdict.kind, done.exit_code, done.where) == (VerdictKind.FAILED, 3, Where.WARM)
        assert (done.stdout, done.stderr, done.gap) == (b"hello", b"oops", "")
        assert done.dispatch_s == pytest.approx(0.0, abs=0.001)
        await pool.warm(count=2)
        (reading,) = pool.readings()
        assert (reading.hits, reading.misses, reading.parked, reading.idle) == (1, 0, 3, 2)

    stage.play(story)
