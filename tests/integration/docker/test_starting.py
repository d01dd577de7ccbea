"""Starting at most once on the real engine, with answers lost on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from wavepool import labels
from wavepool.drivers.base import Handle, Needs, NetworkNeed, Phase
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.starting.delivery import write_prompt
from wavepool.drivers.docker.starting.spec import create_body
from wavepool.drivers.start_mark import make_mark
from wavepool.errors import DriverUnavailable, NotStarted
from wavepool.model import Mount, VerdictKind
from wavepool.testing.observing import phase_of, present, raised, run_to_end, scope_of, wait_ended

if TYPE_CHECKING:
    from conftest import DockerWorld, Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

HOSTILE_IDS = ["../../x", "-x", "a\nb\tc", "ünï 漢字 🎉", "$(id);rm -rf /", "--privileged", "i" * 256]


@pytest.mark.parametrize("lost", [b"POST /v1.41/containers/create", b"/start "])
async def test_a_lost_answer_does_not_run_it_twice(world: DockerWorld, proxy: Proxy, lost: bytes) -> None:
    spec = world.spec(world.commands.counts("once", 0.1))
    async with world.driver(host=proxy.host) as driver:
        await driver.probe()
        version = (await world.docker("version", "--format", "{{.Server.APIVersion}}")).encode()
        proxy.cut_answers_to = [lost.replace(b"1.41", version)]
        handle = await driver.start(spec)
        assert proxy.cut_answers_to == [], "the answer was cut off"
        assert await driver.start(spec) == handle
        assert (await wait_ended(driver, spec)).phase is Phase.EXITED
    assert world.executions(spec, "once") == 1


async def test_starts_at_once_in_one_driver_run_once(world: DockerWorld) -> None:
    spec = world.spec(world.commands.counts("once", 0.1))
    handles: list[Handle] = []

    async def start() -> None:
        handles.append(await driver.start(spec))

    async with world.driver() as driver:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(start)
        await wait_ended(driver, spec)
    assert len(set(handles)) == 1
    assert world.executions(spec, "once") == 1


async def test_one_that_was_created_only_is_adopted_and_started(world: DockerWorld) -> None:
    spec = world.spec(world.commands.counts("once", 0))
    body = create_body(spec, prompt_dir=write_prompt(spec.slot, spec.prompt), secrets_dir=None)
    async with DockerApi() as api:
        created = (await api.change("POST", "containers/create", {"name": spec.name}, body))["Id"]
    async with world.driver() as driver:
        assert await phase_of(driver, spec) is Phase.CREATED
        assert (await driver.start(spec)).id == created
        await wait_ended(driver, spec)
    assert world.executions(spec, "once") == 1


async def test_one_that_was_marked_and_never_started_is_started(world: DockerWorld) -> None:
    spec = world.spec(world.commands.counts("once", 0))
    body = create_body(spec, prompt_dir=write_prompt(spec.slot, spec.prompt), secrets_dir=None)
    async with DockerApi() as api:
        await api.change("POST", "containers/create", {"name": spec.name}, body)
    make_mark(spec.slot)  # as by a process that died between the mark and the start: the container tells the truth
    async with world.driver() as driver:
        await driver.start(spec)
        await wait_ended(driver, spec)
    assert world.executions(spec, "once") == 1


async def test_a_name_that_belongs_to_someone_else_is_left_alone(world: DockerWorld) -> None:
    spec = world.sh("true")
    foreign = await world.docker("create", "--name", spec.name, spec.image, "true")
    try:
        async with world.driver() as driver:
            error = await raised(NotStarted, driver.start(spec))
            await driver.remove(Handle(driver="docker", id="", name=spec.name, attempt=spec.attempt))
        assert "someone else" in error.message
        assert not error.transient
        assert (await world.inspect(foreign))["State"]["Status"] == "created"
    finally:
        await world.docker("rm", foreign)


async def test_another_owner_s_attempt_is_named(world: DockerWorld) -> None:
    spec = world.sh("true")
    other = replace(spec, owner=world.other_owner, labels={**spec.labels, labels.OWNER: world.other_owner})
    async with world.driver() as driver:
        await driver.start(other)
        error = await raised(NotStarted, driver.start(spec))
    assert world.other_owner in error.message


async def test_stopped_before_its_start_it_never_runs(world: DockerWorld) -> None:
    spec = world.spec(world.commands.counts("never", 0))
    async with world.driver() as driver:
        await driver.stop(Handle(driver="docker", id="", name=spec.name, attempt=spec.attempt), 1)
        await raised(NotStarted, driver.start(spec))
        assert await present(driver, scope_of(spec)) == frozenset()
    assert world.executions(spec, "never") == 0


async def test_refusals_say_why_and_what_to_do(world: DockerWorld, tmp_path: Path) -> None:
    missing = str(tmp_path / "not-there")
    async with world.driver() as driver:
        image = await raised(NotStarted, driver.start(replace(world.sh("true"), image="wavepool-none/x:1")))
        mount = await raised(NotStarted, driver.start(world.sh("true", mounts=(Mount(source=missing, target="/x"),))))
        network = await raised(NotStarted, driver.start(world.sh("true", network=f"none-{world.owner}")))
        memory = await raised(NotStarted, driver.start(world.sh("true", memory_bytes=4 << 20)))
        proc = await raised(NotStarted, driver.start(world.sh("true", mounts=(Mount(source="/proc", target="/p"),))))
    assert "docker pull wavepool-none/x:1" in image.advice
    assert "must exist on the Docker host" in mount.advice
    assert f"docker network create none-{world.owner}" in network.advice
    assert "6m" in memory.advice
    assert "never mounted" in proc.message


async def test_a_network_that_vanished_is_made_again(world: DockerWorld) -> None:
    name = f"net-{world.owner}"
    need = NetworkNeed(name=name, labels={labels.OWNER: world.owner, labels.SCOPE: "shared"})
    spec = world.sh("ip addr | grep -q eth0", network=name)
    async with world.driver() as driver:
        assert (await driver.prepare(Needs(networks=(need,)))).networks_created == (name,)
        await world.docker("network", "rm", name)
        told = await run_to_end(driver, spec)
    assert told.ending is not None
    assert told.ending.kind is VerdictKind.SUCCESS


@pytest.mark.parametrize("task_id", HOSTILE_IDS)
async def test_any_id_is_harmless(world: DockerWorld, task_id: str) -> None:
    spec = world.spec(("/bin/sh", "-c", 'printf %s "$TASK_ID" > /workspace/seen'), task_id=task_id)
    async with world.driver() as driver:
        told = await run_to_end(driver, spec)
    assert told.handle.attempt.task_id == task_id
    assert told.labels[labels.TASK] == task_id
    assert (world.workspace / "seen").read_text() == task_id


async def test_no_engine_is_said_with_advice(world: DockerWorld, tmp_path: Path) -> None:
    async with world.driver(host=f"unix://{tmp_path}/none.sock") as driver:
        error = await raised(DriverUnavailable, driver.probe())
        assert "systemctl start docker" in error.advice
        await raised(DriverUnavailable, driver.start(world.sh("true")))
