"""The seed's executors on the simulated engine: warm and cold, the seed's settings, and use as a seed's user would."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest

from wavepool import AgentState, DockerizedTaskExecutor, PooledDockerExecutor, TaskDefinition
from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.engine.pools import Where
from wavepool.errors import DriverUnavailable, InputError, SettingError
from wavepool.model import VerdictKind

SEED: dict[str, object] = {
    "dockerImage": "claude-flow-agent",
    "poolSize": 2,
    "warmupAgentTypes": ["coder", "tester"],
    "autoScaling": False,
    "maxContainerAge": 3_600_000,
    "timeoutMs": 30_000,
    "readOnlyRootFs": True,
}
CODER = AgentState(type="coder", id="agent-7", env={"MODE": "agent", "WHO": "coder"})
DEADLINE_S = 120.0
pytestmark = pytest.mark.anyio


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


def task(task_id: str, *words: str, **given: Any) -> TaskDefinition:
    return TaskDefinition(id=task_id, command=("sim", *words), **given)


async def test_a_task_and_an_agent_become_a_result(tmp_path: Path, world: MemoryWorld) -> None:
    with anyio.fail_after(DEADLINE_S):
        async with PooledDockerExecutor(SEED, state_dir=tmp_path, driver=MemoryDriver(world)) as executor:
            metrics = await executor.get_pool_metrics()
            assert (metrics.idle_containers, dict(metrics.containers_by_type)) == (4, {"coder": 2, "tester": 2})
            shown = ("show_env=MODE", "show_env=WHO", "show_env=TASK_ID", "show_env=AGENT_ID", "show_env=CODER_MODE")
            done = await executor.execute_task(
                task("t1", *shown, "show_prompt", "show_secret=KEY", "stderr=no", "exit=3",
                     env={"MODE": "task"}, prompt="p", secrets={"KEY": b"\xff"}, name="build"),
                CODER,
            )  # fmt: skip
            assert done.stdout == "taskcodert1agent-7truep\ufffd"
            assert (done.stderr, done.exit_code, done.status, done.success) == ("no", 3, VerdictKind.FAILED, False)
            assert (done.task_id, done.task_name, done.agent_id, done.agent_type) == ("t1", "build", "agent-7", "coder")
            assert "3" in done.error_message
            assert done.execution.where is Where.WARM
            await executor.scale_pool("coder", 3)
            containers = await executor.get_containers()
            assert [each["agentType"] for each in containers].count("coder") == 3
            assert (await executor.get_pool_metrics()).as_seed()["containerHitRate"] == 100.0
    assert world.container_names() == []


async def test_the_cold_one_stands_in_for_it_with_the_same_settings(tmp_path: Path, world: MemoryWorld) -> None:
    with anyio.fail_after(DEADLINE_S):
        async with DockerizedTaskExecutor(SEED, state_dir=tmp_path, driver=MemoryDriver(world)) as executor:
            done = [await executor.execute_task(task(f"t{n}", "stdout=hi"), CODER) for n in range(2)]
            assert [(each.success, each.stdout, each.execution.where) for each in done] == [
                (True, "hi", Where.COLD)
            ] * 2
            assert (done[0].error_message, executor.config.timeout_s) == ("", 30.0)
    assert world.container_names() == []


async def test_who_opens_it_need_not_be_who_closes_it(tmp_path: Path, world: MemoryWorld) -> None:
    executor = PooledDockerExecutor(SEED, state_dir=tmp_path, driver=MemoryDriver(world))
    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as group:
            group.start_soon(executor.initialize)
        with anyio.CancelScope() as scope:  # one that is left before the executor is closed
            assert (await executor.execute_task(task("t1"), CODER)).success
            scope.cancel()
        async with anyio.create_task_group() as group:
            group.start_soon(executor.shutdown)
        await executor.shutdown()
        assert world.container_names() == []
        await executor.initialize()
        assert (await executor.execute_task(task("t2"), CODER)).success
        await executor.shutdown()
    assert world.container_names() == []


async def test_a_shutdown_stops_what_runs_and_says_so(tmp_path: Path, world: MemoryWorld) -> None:
    executor = PooledDockerExecutor(SEED, state_dir=tmp_path, driver=MemoryDriver(world))
    results, began = [], anyio.Event()

    async def run() -> None:
        done = await executor.execute_task(
            task("t1", "stdout=x", "duration=1000"), CODER, on_output=lambda stream, data: began.set()
        )
        results.append(done.status)

    with anyio.fail_after(DEADLINE_S):
        await executor.initialize()
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await began.wait()
            await executor.shutdown()
    assert results == [VerdictKind.CANCELLED]
    assert world.container_names() == []


async def test_it_refuses_tasks_while_it_is_not_open(tmp_path: Path, world: MemoryWorld) -> None:
    executor = PooledDockerExecutor(SEED, state_dir=tmp_path, driver=MemoryDriver(world))
    with pytest.raises(InputError, match="the executor is not open"):
        await executor.execute_task(task("t1"), CODER)
    async with executor:
        with pytest.raises(InputError, match="open already"):
            await executor.initialize()
        with pytest.raises(InputError, match="expected 1 to 10"):
            await executor.scale_pool("coder", 11)


async def test_without_docker_the_advice_is_told_and_it_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    executor = PooledDockerExecutor(SEED, state_dir=tmp_path)
    for _ in range(2):
        with pytest.raises(DriverUnavailable) as caught, anyio.fail_after(DEADLINE_S):
            await executor.initialize()
        assert caught.value.advice


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"poolSize": -1}, "poolSize: got -1, expected a whole number from 0"),
        ({"minPoolSize": 3, "maxPoolSize": 2}, "at most max_size, which is 2"),
        ({"pool_sise": 3}, "Did you mean"),
        ({"warmupAgentTypes": "Coder!"}, "an agent type"),
    ],
)
async def test_a_wrong_setting_is_named(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        PooledDockerExecutor(wrong)


def test_a_loop_that_ends_with_it_open_takes_it_along(tmp_path: Path, world: MemoryWorld) -> None:
    async def forget() -> None:
        await PooledDockerExecutor(SEED, state_dir=tmp_path, driver=MemoryDriver(world)).initialize()

    asyncio.run(forget())
    assert world.container_names() == []
