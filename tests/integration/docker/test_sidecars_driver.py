"""Sidecars through the driver: adopted, never started twice, whatever is cut off; removed with their task."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from sealed_attempts import with_sidecars

from wavepool import labels
from wavepool.drivers.base import AttemptSpec, Scope
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.docker.networks.subnets import candidates
from wavepool.errors import NotStarted, Unknown
from wavepool.inputs.subnets import parse_subnet_pool
from wavepool.model import AttemptId, Handle, Healthcheck, Limits, Sidecar, Volume

if TYPE_CHECKING:
    from conftest import DockerWorld, Proxy

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

POOL = "10.214.0.0/20"
ONCE = "echo started >> /data/starts; exec sleep 600"


def beside(world: DockerWorld, spec: AttemptSpec, *sidecars: Sidecar, pool: str = POOL) -> AttemptSpec:
    """`spec` with these sidecars, as the engine would ask for it."""
    return with_sidecars(world, spec, *sidecars, pool=pool)


def sidecar(world: DockerWorld, name: str = "db", script: str = ONCE, **fields: Any) -> Sidecar:
    limits = Limits(memory_bytes=16 << 20, pids=32)
    return Sidecar(name=name, image=world.image, limits=limits, command=("sh", "-c", script), **fields)


async def starts(world: DockerWorld, spec: AttemptSpec, name: str = "db") -> list[str]:
    """What it has written at each start, once it has written at all: the engine calls it started before."""
    return (await lines_of(anyio.Path(world.root / "data" / spec.name / name / "starts"), 1)).split()


async def lines_of(path: anyio.Path, count: int) -> str:
    """A file that containers write to, as soon as it has so many lines."""
    while not await path.exists() or (await path.read_text()).count("\n") < count:  # noqa: ASYNC110 - a file tells nobody
        await anyio.sleep(0.02)
    return await path.read_text()


@asynccontextmanager
async def started(driver: DockerDriver, spec: AttemptSpec) -> AsyncIterator[Handle]:
    """Started, however often the start must be asked for."""
    while True:
        try:
            handle = await driver.start(spec)
            break
        except Unknown:
            continue
    try:
        yield handle
    finally:
        removed = await driver.remove(handle)
        assert removed.errors == ()


async def ids(world: DockerWorld, kind: str, spec: AttemptSpec) -> list[str]:
    words = ("ps", "-aq", "--no-trunc") if kind == "containers" else ("network", "ls", "-q", "--no-trunc")
    return sorted((await world.docker(*words, "--filter", f"label={labels.BESIDE}={spec.name}")).split())


async def test_a_start_that_is_cut_off_anywhere_starts_everything_once(world: DockerWorld, proxy: Proxy) -> None:
    spec = beside(world, world.sh("echo ran >> ran; exec sleep 600"), sidecar(world), sidecar(world, "app"))
    create, start = b"/containers/create?name=cfn", b"/start"
    proxy.cut_answers_to = [b"/networks/create", create, create, create, start, start, start]
    async with world.driver(host=proxy.host) as driver, started(driver, spec) as handle:
        assert [await starts(world, spec, name) for name in ("db", "app")] == [["started"], ["started"]]
        before = await ids(world, "containers", spec)
        async with world.driver() as another:  # what a restarted process would make
            assert (await another.start(spec)).id == handle.id
        assert (await ids(world, "containers", spec), len(before)) == (before, 2)
    assert await starts(world, spec) == ["started"]
    assert world.executions(spec, "ran") == 1
    assert (await ids(world, "containers", spec), await ids(world, "networks", spec)) == ([], [])


async def test_what_an_orchestrator_left_half_way_is_adopted_or_refused(world: DockerWorld) -> None:
    """Sidecars run, and the task's own container was never made; then one of them ends before anybody comes back."""
    spec = beside(world, world.sh("exec sleep 600"), sidecar(world))
    half = replace(spec, image="wavepool-no-such-image:x")
    async with world.driver() as driver:
        with pytest.raises(NotStarted):
            await driver.start(half)
        (left,) = await ids(world, "containers", spec)
        async with started(driver, spec):
            assert await ids(world, "containers", spec) == [left]
            assert await starts(world, spec) == ["started"]
        other = beside(world, world.sh("exec sleep 600"), sidecar(world))
        with pytest.raises(NotStarted):
            await driver.start(replace(other, image=half.image))
        (ended,) = await ids(world, "containers", other)
        await world.docker("kill", ended)
        with pytest.raises(NotStarted, match=r"sidecar db .* ended with exit code 137") as caught:
            await driver.start(other)
        assert caught.value.transient
        assert [trouble.name for trouble in caught.value.sidecars] == ["db"]
        changed = beside(world, world.sh("true", attempt=other.attempt, name=other.name), sidecar(world, script="true"))
        with pytest.raises(NotStarted, match=labels.SPEC_HASH):
            await driver.start(changed)
        removed = await driver.remove(Scope(owner=world.owner))
        assert (removed.errors, len(removed.containers), len(removed.networks)) == ((), 1, 1)


async def test_sidecars_wait_for_each_other_and_are_dismissed_the_other_way_round(world: DockerWorld) -> None:
    """Each says when it begins and when it ends, in one file that both write."""
    tells = "trap 'echo {0} down >> /workspace/order; exit 0' TERM; echo {0} up >> /workspace/order; sleep 600 & wait"
    (world.workspace / "order").touch(mode=0o666)
    (world.workspace / "order").chmod(0o666)
    shared = {"volumes": (_workspace(world),)}
    first = sidecar(world, "first", tells.format("first"), **shared)
    second = sidecar(world, "second", tells.format("second"), depends_on=("first",), **shared)
    spec = beside(world, world.sh("exec true"), first, second)
    async with world.driver() as driver, started(driver, spec) as handle:
        await lines_of(anyio.Path(world.workspace / "order"), 2)  # by then each listens for its end, too
        dismissed = await driver.dismiss(handle, 20)
        assert [(each.name, each.ran) for each in dismissed] == [("first", True), ("second", True)]
        again = await driver.dismiss(handle, 20)
        assert [(each.ran, each.exit_code, each.finished_at is None) for each in again] == [(False, 0, False)] * 2
    assert (world.workspace / "order").read_text().splitlines() == [
        "first up",
        "second up",
        "second down",
        "first down",
    ]


def _workspace(world: DockerWorld) -> Volume:
    return Volume(source=str(world.workspace), target="/workspace")


async def test_a_subnet_that_somebody_has_is_passed_over(world: DockerWorld) -> None:
    spec = beside(world, world.sh("exec sleep 600"), sidecar(world), pool="10.214.32.0/26")
    assert spec.own_network is not None
    taken = next(candidates(parse_subnet_pool("10.214.32.0/26"), spec.own_network.name, 2, []))
    mark = f"{labels.OWNER}={world.owner}"
    await world.docker("network", "create", "--label", mark, "--subnet", str(taken), f"cfn-taken-{world.owner}")
    async with world.driver() as driver, started(driver, spec):
        found = json.loads(await world.docker("network", "inspect", spec.own_network.name))
        mine = IPv4Network(found[0]["IPAM"]["Config"][0]["Subnet"])
        assert mine != taken
        assert mine.subnet_of(IPv4Network("10.214.32.0/26"))
    async with world.driver() as driver:
        full = beside(world, world.sh("true"), sidecar(world), pool=str(taken))
        with pytest.raises(NotStarted, match="no subnet") as caught:
            await driver.start(full)
        assert caught.value.transient
        assert "subnet_pool" in caught.value.advice


async def test_a_stop_ends_the_wait_for_a_sidecar(world: DockerWorld) -> None:
    never = sidecar(world, healthcheck=Healthcheck(test=("CMD", "false"), interval_s=1, retries=1000))
    spec = beside(world, world.sh("echo ran >> ran"), never)
    handle = Handle(driver="docker", id="", name=spec.name, attempt=AttemptId(*spec.attempt))
    async with world.driver() as driver:

        async def stop() -> None:
            while True:
                if await ids(world, "containers", spec):
                    break
                await anyio.sleep(0.05)
            await driver.stop(handle, 1)

        async with anyio.create_task_group() as group:
            group.start_soon(stop)
            with pytest.raises(NotStarted, match="stopped before it was ready"):
                await driver.start(spec)
        removed = await driver.remove(handle)
        assert (removed.errors, len(removed.containers), len(removed.networks)) == ((), 1, 1)
    assert world.executions(spec, "ran") == 0


@pytest.mark.slow
async def test_a_hundred_tasks_have_a_network_each_at_once(world: DockerWorld, record_property: Any) -> None:
    """A stock engine has addresses for about thirty; two drivers share the work, as two orchestrators would."""
    world.allow(600)
    specs = [
        replace(beside(world, world.sh("true"), sidecar(world), pool="10.214.64.0/19"), sidecars=()) for _ in range(100)
    ]
    limit = anyio.Semaphore(4)
    async with world.driver() as one, world.driver() as two:

        async def make(driver: DockerDriver, spec: AttemptSpec) -> None:
            async with limit:
                await driver.start(spec)

        with anyio.fail_after(540):
            async with anyio.create_task_group() as group:
                for index, spec in enumerate(specs):
                    group.start_soon(make, (one, two)[index % 2], spec)
            mark = f"label={labels.OWNER}={world.owner}"
            networks = (await world.docker("network", "ls", "-q", "--filter", mark)).split()
            assert len(networks) == 100
            removed = await one.remove(Scope(owner=world.owner))
    assert (len(removed.containers), len(removed.networks)) == (100, 100)
    record_property("proof", "100 tasks had a network of their own at once, made by two drivers on one stock engine")
