"""Sealed attempts as the engine asks for them, for tests of the driver: their specs, and all that came of one."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wavepool import labels
from wavepool.drivers.base import AttemptSpec, OwnNetwork
from wavepool.drivers.docker import DockerDriver
from wavepool.engine.attempts.companions import CompanionBuilder, data_owner
from wavepool.engine.attempts.egress import proxy_environment
from wavepool.model import Sidecar, Task

if TYPE_CHECKING:
    from conftest import DockerWorld

SCRIPT = Path(__file__).parents[3] / "scripts" / "sealed-images"
BUILD_S = 900


def build_images(*words: str) -> None:
    """Make the images that sealed tasks need, unless they are there."""
    made = subprocess.run([SCRIPT, *words], capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert made.returncode == 0, made.stderr


def gateway() -> str:
    """The address that containers of the default bridge call this host by."""
    words = ["docker", "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def sealed(world: DockerWorld, spec: AttemptSpec, proxy: Sidecar) -> AttemptSpec:
    """`spec` on a network that leads nowhere, with this proxy."""
    made = with_sidecars(world, spec, proxy, internal=True, pool="10.214.16.0/20")
    return replace(made, env={**spec.env, **proxy_environment()})


def with_sidecars(
    world: DockerWorld, spec: AttemptSpec, *sidecars: Sidecar, pool: str, internal: bool = False
) -> AttemptSpec:
    """`spec` with these sidecars on a network of its own, as the engine would ask for it."""
    task = Task(id=spec.attempt.task_id, key="k", wave=spec.wave, tier=1, limits=spec.limits)
    marks = labels.beside_labels(
        owner=spec.owner, run_id=spec.run_id, task=task, attempt=spec.attempt.number, container=spec.name
    )
    builder = CompanionBuilder(
        data=world.root / "data" / spec.name,
        base=world.workspace,
        shares_base=False,
        owner=data_owner(world.workspace),
        labels={**marks, labels.ROLE: "sidecar"},
        prefix=spec.name,
    )
    made = builder.build(sidecars)
    builder.make_directories(made)
    return replace(
        spec,
        sidecars=made,
        labels={**spec.labels, labels.SIDECARS: str(len(made))},
        own_network=OwnNetwork(
            name=labels.task_network_name(spec.name),
            labels={**marks, labels.SCOPE: "task"},
            internal=internal,
            subnet_pool=pool,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt wrote, what its proxy said, and how it ended."""

    stdout: bytes
    stderr: bytes
    proxy: bytes
    exit_code: int

    @property
    def found(self) -> Mapping[str, str]:
        """Its lines, each a name and what was found of it."""
        return dict(line.split(" ", 1) for line in self.stdout.decode().splitlines())


async def run(world: DockerWorld, driver: DockerDriver, spec: AttemptSpec) -> Outcome:
    """Run it to its end, and leave nothing of it."""
    handle = await driver.start(spec)
    try:
        said = {"stdout": b"", "stderr": b""}
        async with driver.logs(handle) as chunks:
            async for chunk in chunks:
                said[chunk.stream] += chunk.data
        told = b""
        for each in await driver.dismiss(handle, 5):
            async with driver.logs(each.handle) as chunks:
                told += b"".join([chunk.data async for chunk in chunks])
        code = (await world.inspect(handle.id))["State"]["ExitCode"]
    finally:
        await driver.stop(handle, 0)
        removed = await driver.remove(handle)
    assert removed.errors == ()
    return Outcome(stdout=said["stdout"], stderr=said["stderr"], proxy=told, exit_code=code)
