"""Pairs of endings that look alike on the engine, each on real containers: docs/verdicts.md lists them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from wavepool.drivers.base import AttemptSpec, Observation, Synced
from wavepool.drivers.docker.starting.spec import own_labels
from wavepool.drivers.docker.usage.reading import cgroup_version
from wavepool.model import Ending, Evidence, VerdictKind
from wavepool.testing.observing import ending_from, scope_of, wait_for_output
from wavepool.units import MIB

if TYPE_CHECKING:
    from conftest import DockerWorld

    States = AsyncIterator[Observation | Synced]

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

CGROUPS = Path("/sys/fs/cgroup")
EATS = "tail /dev/zero"


async def ending_of(states: States, spec: AttemptSpec) -> tuple[VerdictKind, Evidence]:
    ended: Ending | None = (await ending_from(states, spec)).ending
    assert ended is not None
    return ended.kind, ended.evidence


async def run(world: DockerWorld, script: str) -> tuple[VerdictKind, Evidence]:
    """How a container of 16 MiB with this script ends, as a watch sees it that saw all of it."""
    spec = world.sh(script, memory_bytes=16 * MIB)
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        await driver.start(spec)
        return await ending_of(states, spec)


async def test_a_child_s_memory_kill_that_the_main_process_passes_on_is_an_oom(world: DockerWorld) -> None:
    kind, evidence = await run(world, f"{EATS}; exit $?")
    assert (kind, evidence.exit_code, evidence.signal_sender) == (VerdictKind.OOM, 137, "kernel")


async def test_a_child_s_memory_kill_that_makes_the_main_process_fail_is_a_failure(world: DockerWorld) -> None:
    kind, evidence = await run(world, f"{EATS} || exit 1")
    assert (kind, evidence.exit_code, evidence.child_oom) == (VerdictKind.FAILED, 1, True)
    assert "a child" in evidence.reason


async def test_a_kill_from_outside_long_after_a_child_s_memory_kill_is_the_killer_s(world: DockerWorld) -> None:
    spec = world.sh(f"{EATS}; echo went on; sleep 600", memory_bytes=16 * MIB)
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        handle = await driver.start(spec)
        await wait_for_output(driver, handle, b"went on\n")
        await world.docker("kill", spec.name)
        kind, evidence = await ending_of(states, spec)
    assert (kind, evidence.signal, evidence.signal_sender) == (VerdictKind.FAILED, "SIGKILL", "other")
    assert evidence.child_oom is True


async def test_a_kill_past_the_engine_is_no_oom(world: DockerWorld) -> None:
    """By its pid on the host: nobody records who that was."""
    spec = world.sh("echo ready; sleep 600")
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        handle = await driver.start(spec)
        await wait_for_output(driver, handle, b"ready\n")
        pid = int(await world.docker("inspect", "--format", "{{.State.Pid}}", spec.name))
        os.kill(pid, 9)
        kind, evidence = await ending_of(states, spec)
    assert (kind, evidence.exit_code) == (VerdictKind.FAILED, 137)
    assert not evidence.oom_flag
    assert evidence.signal_sender != "kernel"


async def test_a_stop_of_ours_beside_a_kill_by_another(world: DockerWorld) -> None:
    """Both may come: what we did is known, and stands."""
    spec = world.sh("trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done")
    async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
        handle = await driver.start(spec)
        await wait_for_output(driver, handle, b"ready\n")
        async with anyio.create_task_group() as group:
            group.start_soon(driver.stop, handle, 60)
            await wait_for_output(driver, handle, b"asked\n")
            await world.docker("kill", spec.name)
            kind, evidence = await ending_of(states, spec)
    assert (kind, evidence.exit_code) == (VerdictKind.FAILED, 137)
    assert evidence.signal_sender == "wavepool"


@contextlib.contextmanager
def crowded_group(name: str, limit_bytes: int) -> Iterator[str]:
    """A control group of ours for containers to share: all of them together get `limit_bytes`."""
    roots = [CGROUPS] if cgroup_version() == 2 else [each for each in CGROUPS.iterdir() if each.is_dir()]
    memory = CGROUPS / name if cgroup_version() == 2 else CGROUPS / "memory" / name
    try:
        memory.mkdir()
        limit = memory / ("memory.max" if cgroup_version() == 2 else "memory.limit_in_bytes")
        limit.write_text(str(limit_bytes))
    except OSError as error:
        pytest.skip(f"NO PARENT RAN OUT OF MEMORY: its control group cannot be made here ({error})")
    try:
        yield f"/{name}"
    finally:
        for root in roots:
            with contextlib.suppress(OSError):
                (root / name).rmdir()


async def start_below(world: DockerWorld, parent: str, spec: AttemptSpec, limit: str) -> None:
    """Start it past the driver, as a container of ours in another parent group."""
    marks = [word for pair in own_labels(spec).items() for word in ("--label", "=".join(pair))]
    limits = ("--memory", limit, "--memory-swap", limit, "--cgroup-parent", parent, "--network", "none")
    assert spec.command is not None
    await world.docker("run", "-d", "--init", "--name", spec.name, *limits, *marks, spec.image, *spec.command)


async def test_an_oom_of_the_parent_group_says_that_it_was_below_its_own_limit(world: DockerWorld) -> None:
    spec = world.sh(f"exec {EATS}")
    with crowded_group(f"wavepool-crowd-{world.owner}", 24 * MIB) as parent:
        async with world.driver() as driver, driver.watch(scope_of(spec)) as states:
            await start_below(world, parent, spec, "256m")
            kind, evidence = await ending_of(states, spec)
            await driver.remove(scope_of(spec))
    assert kind is VerdictKind.OOM
    assert evidence.signal_sender == "kernel"
    if os.access("/dev/kmsg", os.R_OK):  # else nobody tells whose limit it was
        assert evidence.oom_scope == "host"
        assert "below its own limit" in evidence.reason


async def test_an_oom_of_its_own_says_so(world: DockerWorld) -> None:
    kind, evidence = await run(world, f"exec {EATS}")
    assert kind is VerdictKind.OOM
    if os.access("/dev/kmsg", os.R_OK):
        assert evidence.oom_scope == "own"
        assert "its own limit" in evidence.reason


@pytest.mark.slow
async def test_one_that_shares_a_group_with_a_victim_is_no_victim(world: DockerWorld) -> None:
    """The engine marks every container below the group OOMKilled (cgroup v1 tells all of them)."""
    victim = world.sh(f"exec {EATS}")
    other = world.sh("trap 'exit 137' TERM; sleep 600 & wait")
    with crowded_group(f"wavepool-crowd-{world.owner}", 64 * MIB) as parent:
        async with world.driver() as driver, driver.watch(scope_of(victim)) as states:
            await start_below(world, parent, other, "256m")
            await start_below(world, parent, victim, "256m")
            kind, _ = await ending_of(states, victim)
            assert kind is VerdictKind.OOM
            await world.docker("kill", "-s", "TERM", other.name)
            kind, evidence = await ending_of(states, other)
            await driver.remove(scope_of(victim))
    if os.access("/dev/kmsg", os.R_OK):
        assert (kind, evidence.exit_code) == (VerdictKind.FAILED, 137)
        assert not evidence.child_oom
        assert not evidence.oom_kills
