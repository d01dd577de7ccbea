"""Pools whose containers are reused, in virtual time."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest
from pool_stage import FIXED, Stage, until

from wavepool.engine.pools import Where
from wavepool.errors import InputError
from wavepool.model import Limits, VerdictKind
from wavepool.units import MIB
from wavepool.wiring import ContainerPool

REUSED = replace(FIXED, reuse=True)


def test_one_container_runs_one_task_after_the_other(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=1)
        names = set()
        for number in range(20):
            done = await pool.execute("coder", ("sim", f"stdout={number}", f"exit={number}"))
            assert (done.stdout, done.exit_code, done.where) == (str(number).encode(), number, Where.REUSED)
            names.add(done.container)
        assert len(names) == 1
        (reading,) = pool.readings()
        assert (reading.hits, reading.parked, reading.containers[0].exec_count) == (20, 1, 20)

    stage.play(story, replace(REUSED, size=1))


def test_after_its_last_use_and_where_it_is_not_clean_a_container_is_replaced(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=1)
        names = []
        for number in range(7):
            words = ("unclean",) if number == 4 else ()
            done = await pool.execute("coder", ("sim", *words))
            assert done.succeeded
            names.append(done.container)
            await pool.warm(count=1)
        assert [len({*names[:3]}), len({*names[3:5]}), len({*names[5:]}), len({*names})] == [1, 1, 1, 3]

    stage.play(story, replace(REUSED, size=1, max_uses=3))


def test_secrets_and_other_limits_are_refused_and_take_no_container(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=1)
        with pytest.raises(InputError, match="secrets"):
            await pool.execute("coder", ("sim",), secrets={"token": b"x"})
        with pytest.raises(InputError, match="limits"):
            await pool.execute("coder", ("sim",), limits=Limits(memory_bytes=8 * MIB))
        assert pool.readings()[0].arrivals == 0

    stage.play(story, REUSED)


def test_a_task_whose_time_is_up_or_whose_caller_gives_up_takes_its_container_along(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=1)
        late = await pool.execute("coder", ("sim", "duration=100", "stdout=a"), timeout_s=3)
        assert (late.verdict.kind, late.exit_code, late.stdout) == (VerdictKind.TIMEOUT, 124, b"a")
        await pool.warm(count=1)
        with anyio.move_on_after(3):
            await pool.execute("coder", ("sim", "duration=100"))
        await pool.warm(count=1)
        again = await pool.execute("coder", ("sim",))
        assert again.container != late.container
        assert again.succeeded

    stage.play(story, replace(REUSED, size=1))


def test_a_container_that_dies_under_its_task_loses_it_and_one_that_dies_idle_is_replaced(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=1)

        async def remove() -> None:
            await anyio.sleep(2)
            for each in stage.world.within(stage.scope_of(pool)):
                stage.world.destroy(each)

        async with anyio.create_task_group() as group:
            group.start_soon(remove)
            done = await pool.execute("coder", ("sim", "duration=100"))
        assert done.verdict.kind is VerdictKind.LOST
        await pool.warm(count=1)
        await remove()
        await until(lambda: pool.readings()[0].lost == 1)
        await pool.warm(count=1)
        assert (await pool.execute("coder", ("sim",))).where is Where.REUSED
        assert await pool.check_health() == 0

    stage.play(story, replace(REUSED, size=1))
