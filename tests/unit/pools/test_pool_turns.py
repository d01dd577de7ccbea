"""Pools that are filled and started beside each other: whose turn it is, and what each may wait for."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import anyio
import pytest
from pool_stage import CODER, FIXED, Stage, until

from wavepool.cli.serve import _tell_ready
from wavepool.cli.serving_log import open_log
from wavepool.drivers.base import Needs
from wavepool.engine.pools import Where
from wavepool.engine.pools import types as engine
from wavepool.engine.pools.specs import check_process_user
from wavepool.errors import InputError
from wavepool.model import VerdictKind
from wavepool.pooled import PooledDockerExecutor
from wavepool.testing.virtual_time import run_virtual
from wavepool.wiring import ContainerPool

SLOW = replace(CODER, name="slow", image="slow:1")


def test_an_image_that_is_pulled_for_one_type_holds_up_no_other(stage: Stage) -> None:
    pulled = anyio.Event()

    async def pull(needs: Needs) -> None:
        if "slow:1" in needs.images:
            await pulled.wait()

    async def story(pool: ContainerPool) -> None:
        found = []

        async def one() -> None:
            found.append(await pool.execute("slow", ("sim",)))

        async with anyio.create_task_group() as group:
            group.start_soon(one)
            await anyio.sleep(1)
            with anyio.fail_after(60):
                await pool.warm(["coder"], count=1)
                async with pool.claim("coder"):
                    cold = await pool.execute("coder", ("sim",))
            assert (cold.where, cold.succeeded, found) == (Where.COLD, True, [])
            pulled.set()
        assert found[0].succeeded
        await pool.warm(["slow"], count=1)

    stage.driver.before_prepare = pull
    stage.play(story, replace(FIXED, size=1, refill_pause_s=600), types=(SLOW, CODER), parallel=1)


def test_a_network_that_goes_away_is_made_again_for_the_next_start(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=1)
        async with pool.claim("coder"):
            stage.world.networks.clear()
            refused = await pool.execute("coder", ("sim",))
            assert refused.verdict.kind is VerdictKind.START_ERROR
            assert "does not exist" in refused.verdict.evidence.reason
            assert (await pool.execute("coder", ("sim",))).succeeded
        stage.world.networks.clear()
        await pool.warm(count=1)  # and for what is made ahead

    stage.play(story, replace(FIXED, size=1, refill_pause_s=5))


def test_where_a_task_runs_is_the_same_warm_and_cold(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=1)
        for where in (Where.WARM, Where.COLD):
            done = await pool.execute("coder", ("sim", "show_directory"), directory="/elsewhere")
            assert (done.where, done.stdout) == (where, b"/elsewhere")

    stage.play(story, replace(FIXED, size=1, refill_pause_s=600))


def test_a_pool_is_filled_as_its_owner_wants_it_by_now(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        pool.scale("coder", 1)
        await pool.drain(["tester"])
        await pool.filled()
        assert [(each.agent_type, each.target, each.idle) for each in pool.readings()] == [
            ("coder", 1, 1),
            ("tester", 0, 0),
        ]
        pool.scale("coder", 3)
        await pool.filled()
        assert pool.readings()[0].idle == 3

    stage.play(story, replace(FIXED, size=4), types=(CODER, replace(CODER, name="tester")))


def test_more_types_than_a_pool_can_have_are_refused_with_what_to_do(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "TYPES_MAX", 1)

    async def story(pool: ContainerPool) -> None:
        with pytest.raises(InputError, match="one of the 1 that there are") as caught:
            await pool.execute("stranger", ("sim",))
        assert "variables" in caught.value.advice

    stage.play(story, default=CODER)


def test_what_was_said_while_the_executors_pools_were_filled_holds(stage: Stage) -> None:
    executor = PooledDockerExecutor(
        {
            "poolSize": 4,
            "autoScaling": False,
            "warmupAgentTypes": ["coder", "tester"],
            "dockerImage": "simulated:latest",
        },
        state_dir=stage.root,
        driver=stage.driver,
    )

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(executor.initialize)
            await until(lambda: executor._keeper is not None)
            await executor.scale_pool("tester", 1)
        assert (await executor.get_pool_metrics()).containers_by_type == {"coder": 4, "tester": 1}
        await executor.shutdown()

    run_virtual(main)
    stage.nothing_is_left()


def test_a_server_says_that_it_is_ready_and_changes_nothing_by_it(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(pool: ContainerPool) -> None:
        pool.scale("coder", 1)
        await pool.drain(["tester"])
        with open_log(as_json=True, verbose=False) as log:
            await _tell_ready(pool, log)

    stage.play(story, replace(FIXED, size=4), types=(CODER, replace(CODER, name="tester")))
    (ready,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ready["idle"] == {"coder": 1, "tester": 0}


@pytest.mark.parametrize(("user", "may"), [("swarm:swarm", False), ("root", False), ("1000", True), ("7:8", True)])
def test_root_cannot_start_processes_as_somebody_that_only_an_image_knows(
    monkeypatch: pytest.MonkeyPatch, user: str, may: bool
) -> None:
    named = replace(CODER, user=user)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    check_process_user(named)  # others stay who they are
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if may:
        check_process_user(named)
        return
    with pytest.raises(InputError, match=f"got user '{user}'") as caught:
        check_process_user(named)
    assert "--driver docker" in caught.value.advice
