"""The end of a pool, and of its types: whoever waits is told, nothing is lost on the way, nothing begins after it."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest
from pool_stage import CODER, FIXED, Stage, until

from wavepool.drivers.base import Handle, Needs, Scope
from wavepool.drivers.memory import Fault
from wavepool.engine.pools import TaskExecution
from wavepool.errors import DriverUnavailable, InfrastructureError, PoolDrained, Unknown
from wavepool.model import PoolsConfig, PoolSpec, VerdictKind
from wavepool.statedir import StateDir
from wavepool.testing.virtual_time import run_virtual
from wavepool.wiring import ContainerPool

TESTER = replace(CODER, name="tester")
LAN = replace(CODER, network="lan")


async def never(needs: Needs) -> None:
    await anyio.sleep_forever()


def test_whoever_waits_for_a_pool_that_ends_is_told(stage: Stage) -> None:
    told: list[str] = []

    async def wait(pool: ContainerPool, names: list[str] | None) -> None:
        with pytest.raises(InfrastructureError) as caught:
            await (pool.warm(names) if names else pool.filled())
        told.append(caught.value.message)

    async def main() -> None:
        stage.driver.before_prepare = never
        async with anyio.create_task_group() as group, stage.pool() as pool:
            group.start_soon(wait, pool, ["coder"])
            group.start_soon(wait, pool, None)
            await anyio.sleep(1)
        with pytest.raises(InfrastructureError, match="is closing") as caught:
            await pool.execute("coder", ("sim",))
        assert "wavepool serve" in caught.value.advice

    run_virtual(main)
    assert len(told) == 2
    assert all("its pool has ended" in each for each in told)
    stage.nothing_is_left()


def test_a_drain_ends_with_its_pool(stage: Stage) -> None:
    async def never_removed(target: Scope | Handle) -> None:
        if isinstance(target, Handle):
            raise DriverUnavailable("the engine is away")

    async def main() -> None:
        stage.driver.before_remove = never_removed
        async with anyio.create_task_group() as group, stage.pool() as pool:
            await pool.warm(count=2)
            group.start_soon(pool.execute, "coder", ("sim", "duration=1e6"))
            await until(lambda: stage.world.running == 1)
            group.start_soon(pool.drain)
            await anyio.sleep(1)

    run_virtual(main)
    stage.nothing_is_left()


def test_a_pool_whose_background_fails_ends_what_runs_and_takes_nothing_more(stage: Stage) -> None:
    found: list[TaskExecution] = []
    opened, over = anyio.Event(), anyio.Event()

    async def fail() -> None:
        raise ZeroDivisionError("in the background")

    async def hold(pool: ContainerPool) -> None:
        async with pool:
            opened.set()
            await anyio.sleep_forever()

    async def see_it_fail(pool: ContainerPool) -> None:
        with pytest.raises(ExceptionGroup):
            await hold(pool)
        over.set()

    async def main() -> None:
        pool = stage.pool()

        async def one() -> None:
            found.append(await pool.execute("coder", ("sim", "duration=1e6")))

        async with anyio.create_task_group() as group:
            group.start_soon(see_it_fail, pool)
            await opened.wait()
            await pool.warm(count=2)
            group.start_soon(one)
            await until(lambda: stage.world.running == 1)
            pool._held().group.start_soon(fail)
            await over.wait()
            for refused in (pool.execute("coder", ("sim",)), pool.warm(["coder"])):
                with pytest.raises(InfrastructureError, match="is closing"):
                    await refused
            with anyio.fail_after(60):
                await pool.drain()

    run_virtual(main)
    assert [each.verdict.kind for each in found] == [VerdictKind.CANCELLED]
    stage.nothing_is_left()


def test_what_is_given_away_is_removed_though_its_giver_is_cancelled(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        tools, stock = pool._held(), pool._types.stocks["coder"]
        container = tools.session.new_container(stock.specs)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await tools.disposal.take(container)
        with anyio.fail_after(60):
            await tools.disposal.settled()
        assert not container.workspace.exists()

    stage.play(story)


def test_what_waits_to_be_removed_at_the_end_and_after_it_goes_with_the_session(stage: Stage) -> None:
    async def main() -> None:
        async with stage.pool() as pool:
            tools, stock = pool._held(), pool._types.stocks["coder"]
            late, *waiting = [tools.session.new_container(stock.specs) for _ in range(20)]
            for each in waiting:
                await tools.disposal.take(each)
        assert tools.disposal.waiting == 0
        await tools.disposal.take(late)
        await tools.disposal.settled()

    run_virtual(main)
    stage.nothing_is_left()


def test_the_container_of_a_task_goes_too_where_its_files_cannot_be_moved_to_the_next(stage: Stage) -> None:
    async def kill(handle: Handle) -> None:
        stage.destroy(handle)

    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        stage.driver.before_claim = kill
        async with pool.claim("coder") as lease:
            first = lease.workspace
            (first / "deep").mkdir()
            other = next(each for each in pool._types.stocks["coder"].containers.values() if not each.claimed)
            (other.workspace / "deep" / "in the way").mkdir(parents=True)
            done = await lease.run(("sim",))
            assert done.verdict.kind is VerdictKind.START_ERROR
            assert "cannot be moved" in done.verdict.evidence.reason
        await until(lambda: not first.exists() and not other.workspace.exists())

    stage.play(story)


def test_one_that_was_given_up_and_died_before_it_was_taken_away_ends_nothing(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        stock = pool._types.stocks["coder"]
        async with pool._held().refilling:  # so that its keeper waits, and looks late
            pool.scale("coder", 3)
            await anyio.sleep(1)
            (ill, _) = stock.containers.values()
            stock.found_ill(ill)
            assert ill.handle is not None
            stage.destroy(ill.handle)
            await until(lambda: ill.key not in stock.containers)
        await pool.warm(count=3)
        assert (await pool.execute("coder", ("sim",))).warm

    stage.play(story)


def test_a_type_that_turns_cold_late_still_loses_what_is_old_or_ill_and_can_be_drained(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        pool.scale("coder", 3)
        await pool.warm(count=3)
        stage.hazards.due.add(Fault.PARK_IMPOSSIBLE)
        assert (await pool.execute("coder", ("sim",))).warm
        await until(lambda: bool(pool.status()["pools"][0]["starts_cold_because"]))  # type: ignore[index]
        await until(lambda: len(stage.world.container_names()) == 2)
        ill, old = pool._types.stocks["coder"].containers.values()
        pool._types.stocks["coder"].found_ill(ill)
        await until(lambda: not ill.workspace.exists())
        assert old.workspace.exists()
        await until(lambda: not old.workspace.exists(), within_s=5000)
        await pool.drain()
        assert stage.world.container_names() == []

    stage.play(story, replace(FIXED, idle_timeout_s=1e6))


def test_a_type_that_turned_cold_late_is_drained_of_what_it_has(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        stage.hazards.due.add(Fault.PARK_IMPOSSIBLE)
        assert (await pool.execute("coder", ("sim",))).warm
        await until(lambda: bool(pool.status()["pools"][0]["starts_cold_because"]))  # type: ignore[index]
        with anyio.fail_after(60):
            await pool.drain()
        assert stage.world.container_names() == []

    stage.play(story)


def test_a_removal_whose_effect_nobody_knows_is_tried_again_at_the_end(stage: Stage) -> None:
    calls: list[Scope | Handle] = []

    async def cut_once(target: Scope | Handle) -> None:
        calls.append(target)
        if len(calls) == 1:
            raise Unknown("the removal was cut off")

    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        stage.driver.before_remove = cut_once

    stage.play(story)
    assert len(calls) == 2


def test_a_shared_network_is_let_go_though_the_engine_does_not_come_back(stage: Stage) -> None:
    async def away(target: Scope | Handle) -> None:
        raise DriverUnavailable("the engine is away")

    async def main() -> None:
        async with stage.pool(types=(LAN,)) as pool:
            await pool.warm(count=2)
            stage.driver.before_remove = away
        assert "took longer than" in pool.left_behind[0]
        with StateDir(stage.root).try_exclusive("lan", patience_s=0) as alone:
            assert alone

    run_virtual(main)


def test_a_known_type_is_drained_before_its_first_task_and_opened_again(stage: Stage) -> None:
    known = {each.name: PoolSpec(agent=each, settings=FIXED) for each in (CODER, TESTER)}
    config = PoolsConfig(types=known, fallback=known["coder"], warm=("coder",))

    async def story(pool: ContainerPool) -> None:
        await pool.drain(["tester"])
        with pytest.raises(PoolDrained, match="is drained") as caught:
            await pool.execute("tester", ("sim",))
        assert "wavepool pool warm tester" in caught.value.advice
        await pool.warm(["tester"])
        assert (await pool.execute("tester", ("sim",))).warm

    stage.play(story, config=config)
