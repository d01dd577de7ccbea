"""The seed's three steps on the simulated engine, in virtual time: what the tests of spawn, monitor, cleanup share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from wavepool import labels
from wavepool.core.events import Now
from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.engine.clock import Clock
from wavepool.engine.steps.archive import LogArchive
from wavepool.engine.steps.cleanup import Cleaner
from wavepool.engine.steps.manifest import Manifest, parse_manifest
from wavepool.engine.steps.monitor import Monitor
from wavepool.engine.steps.spawn import Spawned, Spawner, lifetime_end_s, needs_of, spawn_json
from wavepool.engine.steps.timeouts import TimeoutMarks
from wavepool.model import Isolation, Limits, Surroundings, Task
from wavepool.statedir import StateDir
from wavepool.units import MIB

NETWORK = "cfn-network"


def task(task_id: str, *words: str, wave: int = 1, timeout_s: float | None = None) -> Task:
    """A task in the language of the simulated engine."""
    return Task(
        id=task_id,
        key=labels.task_key(task_id),
        wave=wave,
        tier=1,
        limits=Limits(memory_bytes=64 * MIB),
        command=("sim", *words),
        timeout_s=timeout_s,
    )


class WorldClock(Clock):
    """The simulated engine's own clock, so that both agree."""

    def __init__(self, world: MemoryWorld) -> None:
        self._world = world

    @property
    def boot_id(self) -> str:
        return "simulated"

    def now(self) -> Now:
        self._world.advance()
        return Now(anyio.current_time(), self._world.wall(self._world.time_s))


class WorldSurvey:
    """Looks at the simulated engine; `foreign` are names of containers that others made."""

    def __init__(self, world: MemoryWorld, foreign: Sequence[str] = ()) -> None:
        self._world = world
        self._foreign = foreign

    async def container_labels(self, container: str) -> Mapping[str, str] | None:
        found = self._world.named(container)
        if found is not None:
            return found.spec.labels
        return {} if container in self._foreign else None

    async def has_image(self, reference: str) -> bool:
        return reference not in self._world.absent_images

    async def network_labels(self, name: str) -> Mapping[str, str] | None:
        return self._world.networks.get(name)

    async def runs_with_networks(self, owner: str, wave: int) -> frozenset[str]:
        wanted = {labels.OWNER: owner, labels.WAVE: str(wave), labels.SCOPE: "wave"}
        return frozenset(
            found[labels.RUN] for found in self._world.networks.values() if wanted.items() <= dict(found).items()
        )


class Steps:
    """One user with one state directory on one engine.

    Attributes:
        told: every line of progress, in order.
    """

    def __init__(self, root: Path, world: MemoryWorld, *, isolation: Isolation = Isolation.SHARED) -> None:
        self.world = world
        self.driver = MemoryDriver(world)
        self.state_dir = StateDir(root / "state")
        self.owner = self.state_dir.owner()
        self.workspace = root
        self.isolation = isolation
        self.clock = WorldClock(world)
        self.told: list[str] = []
        self.foreign: list[str] = []

    def specs(self, run_id: str, *, detached: bool = True) -> SpecBuilder:
        return SpecBuilder(
            owner=self.owner,
            run_id=run_id,
            surroundings=Surroundings(image="image", workspace=str(self.workspace), network=NETWORK),
            isolation=self.isolation,
            secrets={},
            detached=detached,
            lifetime_end_s=lifetime_end_s(self.clock.now(), 3600) if detached else None,
        )

    def spawner(self, run_id: str, *, parallel: int = 5, detached: bool = True) -> Spawner:
        files = self.state_dir.run(run_id)
        files.create()
        return Spawner(
            driver=self.driver,
            specs=self.specs(run_id, detached=detached),
            files=files,
            clock=self.clock,
            parallel=parallel,
            tell=self.told.append,
        )

    async def spawn(self, *tasks: Task, run_id: str = "spawn-1", detached: bool = True) -> Spawned:
        await self.driver.prepare(needs_of(tasks, self.specs(run_id, detached=detached)))
        return await self.spawner(run_id, detached=detached).spawn(tasks)

    def manifest(self, spawned: Spawned, *, wave: int = 1, run_id: str = "spawn-1") -> Manifest:
        """Written and read again, as between the two commands."""
        result = spawn_json(
            spawned, wave=wave, run_id=run_id, network=NETWORK, spawned_at=self.clock.now().utc, interrupted=False
        )
        return parse_manifest(json.dumps(result).encode(), "spawned.json")

    def monitor(self, manifest: Manifest, *, logs: Path | None = None, grace_s: float = 10.0) -> Monitor:
        return Monitor(
            manifest=manifest,
            driver=self.driver,
            owner=self.owner,
            survey=WorldSurvey(self.world, self.foreign),
            marks=TimeoutMarks(self.state_dir),
            clock=self.clock,
            archive=None if logs is None else LogArchive(self.driver, self.state_dir, logs),
            grace_s=grace_s,
            tell=self.told.append,
        )

    def cleaner(self, *, logs: Path | None = None) -> Cleaner:
        return Cleaner(
            driver=self.driver,
            owner=self.owner,
            state_dir=self.state_dir,
            survey=WorldSurvey(self.world),
            archive=LogArchive(self.driver, self.state_dir, logs),
            grace_s=10.0,
            shared_network=NETWORK,
            tell=self.told.append,
            detail=self.told.append,
        )
