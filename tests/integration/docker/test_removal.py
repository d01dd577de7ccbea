"""Removing what is ours, sparing all else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from wavepool import labels
from wavepool.drivers.base import Handle, Needs, NetworkNeed, Scope
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.starting.spec import create_body
from wavepool.testing.observing import keys, present, run_to_end, start_all

if TYPE_CHECKING:
    from conftest import DockerWorld

PAIRS = 8
"""Of owners that make a network at the same instant."""

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


def wave_need(world: DockerWorld, name: str, run_id: str, wave: int) -> NetworkNeed:
    tags = {labels.OWNER: world.owner, labels.RUN: run_id, labels.WAVE: str(wave), labels.SCOPE: "wave"}
    return NetworkNeed(name=f"{name}-{world.owner}", labels=tags)


async def test_foreign_things_of_similar_names_are_untouched(world: DockerWorld) -> None:
    spec = world.sh("sleep 600")
    suffix = world.owner
    container = await world.docker("create", "--name", f"cfn-wave1-batch1-{suffix}", world.image, "true")
    network = await world.docker("network", "create", f"cfn-wave1-net-{suffix}", "--label", "cfn.wave.number=1")
    volume = await world.docker("volume", "create", f"cfn-wave1-{suffix}")
    try:
        async with world.driver() as driver:
            await driver.start(spec)
            removed = await driver.remove(Scope(owner=world.owner))
        assert removed.containers == (spec.name,)
        assert (removed.networks, removed.errors) == ((), ())
        await world.docker("inspect", container)
        await world.docker("network", "inspect", network)
        await world.docker("volume", "inspect", volume)
    finally:
        await world.docker("rm", container)
        await world.docker("network", "rm", network)
        await world.docker("volume", "rm", volume)


async def test_networks_go_only_when_ours_and_empty(world: DockerWorld) -> None:
    first, tenth = wave_need(world, "w1", "run-a", 1), wave_need(world, "w10", "run-a", 10)
    shared = NetworkNeed(name=f"s-{world.owner}", labels={labels.OWNER: world.owner, labels.SCOPE: "shared"})
    user = replace(world.sh("sleep 600"), network=shared.name)
    async with world.driver() as driver:
        needs = Needs(networks=(first, tenth, shared))
        assert set((await driver.prepare(needs)).networks_created) == {first.name, tenth.name, shared.name}
        assert (await driver.prepare(needs)).networks_created == (), "safe to repeat"
        handle = await driver.start(user)
        removed = await driver.remove(Scope(owner=world.owner, run_id="run-a", wave=10))
        assert (removed.networks, removed.containers) == ((tenth.name,), ())
        removed = await driver.remove(Scope(owner=world.owner, shared_network=shared.name))
        assert (removed.networks, removed.errors) == ((), ()), "one that is used stays, and that is no error"
        await driver.remove(handle)
        removed = await driver.remove(Scope(owner=world.owner, shared_network=shared.name))
        assert removed.networks == (shared.name,)
        removed = await driver.remove(Scope(owner=world.owner, run_id="run-a"))
        assert removed.networks == (first.name,)


async def test_a_foreign_network_is_used_and_never_removed(world: DockerWorld) -> None:
    name = f"foreign-{world.owner}"
    need = NetworkNeed(name=name, labels={labels.OWNER: world.owner, labels.SCOPE: "shared"})
    await world.docker("network", "create", name)
    try:
        async with world.driver() as driver:
            assert (await driver.prepare(Needs(networks=(need,)))).networks_created == ()
            assert (await driver.remove(Scope(owner=world.owner, shared_network=name))).networks == ()
        await world.docker("network", "inspect", name)
    finally:
        await world.docker("network", "rm", name)


async def test_a_network_made_by_many_at_once_is_one(world: DockerWorld) -> None:
    need = wave_need(world, "race", "run-a", 1)
    created: list[str] = []

    async def prepare() -> None:
        async with world.driver() as driver:
            created.extend((await driver.prepare(Needs(networks=(need,)))).networks_created)

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(prepare)
    assert len((await world.docker("network", "ls", "-q", "--filter", f"name={need.name}")).split()) == 1
    assert created.count(need.name) <= 1


async def test_owners_that_make_one_network_at_once_agree_on_one(world: DockerWorld) -> None:
    owners = (world.owner, world.other_owner)
    for turn in range(PAIRS):
        name = f"pair-{turn}-{world.owner}"

        async def prepare(owner: str, name: str = name) -> None:
            need = NetworkNeed(name=name, labels={labels.OWNER: owner, labels.SCOPE: "shared"})
            async with world.driver() as driver:
                await driver.prepare(Needs(networks=(need,)))

        async with anyio.create_task_group() as group:
            for owner in owners:
                group.start_soon(prepare, owner)
        assert len((await world.docker("network", "ls", "-q", "--filter", f"name={name}")).split()) == 1
        async with world.driver() as driver:
            gone = [await driver.remove(Scope(owner=owner, shared_network=name)) for owner in owners]
        assert sorted(each.networks for each in gone) == [(), (name,)]


async def test_a_handle_without_an_id_is_found_by_its_name(world: DockerWorld) -> None:
    spec = world.sh("sleep 600")
    async with world.driver() as driver:
        await driver.start(spec)
        wrong = Handle(driver="docker", id="", name=spec.name, attempt=spec.attempt._replace(number=2))
        assert (await driver.remove(wrong)).containers == (), "another attempt's handle removes nothing"
        removed = await driver.remove(replace(wrong, attempt=spec.attempt))
        assert removed.containers == (spec.name,)
        assert await present(driver, Scope(owner=world.owner)) == frozenset()


async def test_anonymous_volumes_go_too_and_are_counted(world: DockerWorld) -> None:
    spec = world.sh("true")
    body = create_body(spec, prompt_dir=spec.slot, secrets_dir=None)
    body["Volumes"] = {"/scratch": {}}
    async with DockerApi() as api:
        made = (await api.change("POST", "containers/create", {"name": spec.name}, body))["Id"]
    volume = (await world.inspect(made))["Mounts"]
    name = next(each["Name"] for each in volume if each["Type"] == "volume")
    async with world.driver() as driver:
        removed = await driver.remove(Scope(owner=world.owner))
    assert (removed.volumes, removed.containers) == (1, (spec.name,))
    assert name not in (await world.docker("volume", "ls", "-q")).split()


async def test_ten_at_once_are_all_gone(world: DockerWorld) -> None:
    specs = [world.sh("sleep 600") for _ in range(10)]
    async with world.driver() as driver:
        await start_all(driver, specs)
        assert await present(driver, Scope(owner=world.owner)) == keys(*specs)
        removed = await driver.remove(Scope(owner=world.owner))
        assert set(removed.containers) == {spec.name for spec in specs}
        assert removed.errors == ()


async def test_two_removals_of_one_thing_agree(world: DockerWorld) -> None:
    spec = world.sh("exit 1")
    async with world.driver() as one, world.driver() as other:
        handle = (await run_to_end(one, spec)).handle
        async with anyio.create_task_group() as group:
            group.start_soon(one.remove, handle)
            group.start_soon(other.remove, handle)
            group.start_soon(other.remove, Scope(owner=world.owner))
        assert await present(one, Scope(owner=world.owner)) == frozenset()
