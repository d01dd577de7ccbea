"""A dead process performs nothing more, and can be made to die at every point."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.drivers.base import Needs, Phase, Scope
from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.journal.memory import MemoryJournal
from wavepool.testing.kill_points import Killed, KillSwitch, until_killed, wrap_driver, wrap_journal
from wavepool.testing.memory_harness import MemoryHarness
from wavepool.testing.observing import output, phase_of, wait_ended
from wavepool.testing.virtual_time import run_virtual

FACT = Stamped(1.0, datetime(2026, 1, 1, tzinfo=UTC), facts.WavePrepared(wave=1))


@pytest.fixture
def harness(tmp_path: Path) -> MemoryHarness:
    return MemoryHarness(tmp_path)


def test_every_point_can_be_the_last(harness: MemoryHarness) -> None:
    def live(switch: KillSwitch) -> tuple[MemoryWorld, MemoryJournal]:
        world, journal = MemoryWorld(), MemoryJournal()
        spec = harness.spec(("sim", "duration=1", "stdout=x"), task_id="t")

        async def main() -> None:
            with until_killed(switch):
                async with wrap_journal(journal, switch) as log, wrap_driver(MemoryDriver(world), switch) as driver:
                    await driver.prepare(Needs())
                    await log.append([FACT])
                    handle = await driver.start(spec)
                    await wait_ended(driver, spec)
                    await output(driver, handle)
                    await driver.stop(handle, 1)
                    await log.sync()
                    await driver.remove(handle)

        run_virtual(main)
        return world, journal

    alive = KillSwitch()
    live(alive)
    calls = ("prepare", "append WavePrepared", "start t#1", "logs t#1", "stop t#1", "sync", "remove t#1")
    assert alive.points == [f"{when} {call}" for call in calls for when in ("before", "after")]
    for n, name in enumerate(alive.points, start=1):
        world, journal = live(switch := KillSwitch(kill_at=n))
        assert switch.dead
        assert switch.points == alive.points[:n]
        assert sum(world.executions.values()) == (n >= alive.points.index("after start t#1") + 1), name
        assert len(list(journal.replay())) == (n >= alive.points.index("after append WavePrepared") + 1), name


def test_the_dead_hear_nothing_and_do_nothing(harness: MemoryHarness) -> None:
    world, spec, other = MemoryWorld(), harness.spec(("sim", "duration=9")), harness.spec(("sim",))

    async def main() -> None:
        driver = wrap_driver(MemoryDriver(world), switch := KillSwitch(kill_at=2))
        with until_killed(switch):
            async with anyio.create_task_group() as group, driver.watch(Scope(owner=harness.owner)) as states:
                group.start_soon(driver.start, spec)
                try:
                    async for _ in states:
                        pass
                finally:
                    with anyio.CancelScope(shield=True):
                        await driver.start(other)
        with pytest.raises(Killed):
            await driver.probe()
        assert await phase_of(MemoryDriver(world), spec) is Phase.RUNNING

    run_virtual(main)
    assert world.executions == {(spec.run_id, spec.attempt): 1}


def test_an_error_beside_the_death_is_not_swallowed() -> None:
    async def fails() -> None:
        raise AssertionError("seen")

    async def main() -> None:
        switch = KillSwitch(kill_at=1)
        with until_killed(switch):
            async with anyio.create_task_group() as group:
                group.start_soon(switch.point, "here")
                group.start_soon(fails)

    with pytest.raises(BaseExceptionGroup) as caught:
        run_virtual(main)
    assert caught.group_contains(AssertionError, match="seen")
    assert not caught.group_contains(Killed)
