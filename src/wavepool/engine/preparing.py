"""What a process makes ready before its run starts anything: images, and the network that tasks share."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

import anyio

from wavepool.drivers.base import Driver, Needs, NetworkNeed, PullProgress
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.model import Isolation, Task
from wavepool.statedir import StateDir


class Preparation:
    """Of one process for one run; remembers what it has made ready, and does nothing twice.

    Args:
        driver: open.
        pulling: told how far a pull is.

    Attributes:
        specs: of the run.
    """

    def __init__(
        self, *, driver: Driver, specs: SpecBuilder, state_dir: StateDir, pulling: PullProgress | None
    ) -> None:
        self._driver = driver
        self.specs = specs
        self._state_dir = state_dir
        self._pulling = pulling
        self._images: set[str] = set()
        self._has_network = False

    def lacks(self, tasks: Iterable[Task]) -> bool:
        """True where something that these need was not made ready by this process."""
        tasks = tuple(tasks)
        return not self._images_of(tasks) <= self._images or (self._want_network(tasks) and not self._has_network)

    async def make(self, tasks: Iterable[Task]) -> None:
        """Make ready what these need.

        Raises:
            PrepareError: an image or the network cannot be had.
            InfrastructureError: the driver cannot be asked.
        """
        tasks = tuple(tasks)
        images, pull = self._images_of(tasks) - self._images, self.specs.surroundings.pull
        await self._driver.prepare(Needs(images=tuple(sorted(images)), pull=pull), self._pulling)
        self._images |= images
        if self._want_network(tasks) and not self._has_network:
            await self._make_network()
            self._has_network = True

    def _images_of(self, tasks: Iterable[Task]) -> set[str]:
        images: set[str] = set()
        for task in tasks:
            images.add(task.image or self.specs.surroundings.image)
            images.update(sidecar.image for sidecar in task.sidecars)
        return images

    def _want_network(self, tasks: Iterable[Task]) -> bool:
        return self.specs.isolation is Isolation.SHARED and not all(map(self.specs.is_sealed, tasks))

    async def _make_network(self) -> None:
        need = NetworkNeed(name=self.specs.surroundings.network, labels=self.specs.network_labels(None))
        with ExitStack() as stack:
            await anyio.to_thread.run_sync(stack.enter_context, self._state_dir.making(need.name))
            await self._driver.prepare(Needs(networks=(need,)))
