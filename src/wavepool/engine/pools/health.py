"""Whether the idle containers of a pool could still run a task.

A parked shell must not run anything before its task, so it is asked without a word: its connection is open, its log is
open, and the engine says that it runs, with memory to spare. A reused container runs an empty command.
"""

from __future__ import annotations

import anyio

from wavepool.drivers.base import Driver, Usage
from wavepool.drivers.parking import Claim, SupportsParking
from wavepool.engine.pools.containers import Container
from wavepool.engine.pools.stock import Stock
from wavepool.errors import InfrastructureError, WavepoolError

MEMORY_PART = 0.9
"""Of its limit: an idle container that takes more has none left for a task."""

PING_S = 10.0
PING = Claim(command=("/bin/sh", "-c", ":"))


class HealthCheck:
    """Looks at one type's idle containers again and again."""

    def __init__(self, stock: Stock, driver: Driver) -> None:
        self._stock = stock
        self._driver = driver

    async def run(self) -> None:
        """Check all of them every `health_interval_s`, until cancelled."""
        while True:
            await anyio.sleep(self._stock.book.settings.health_interval_s)
            await self.check()

    async def check(self) -> int:
        """Check all idle ones once; how many were found ill. An engine that is away says nothing about them."""
        idle = [each for each in self._stock.containers.values() if not each.claimed]
        try:
            readings = await self._driver.usage([each.handle for each in idle if each.handle is not None])
        except InfrastructureError:
            return 0
        ill = 0
        for container in idle:
            reading = readings.get(container.handle) if container.handle is not None else None
            well = self._is_well(container, reading) and await self._answers(container)
            if not well and not container.claimed:
                ill += 1
                self._stock.found_ill(container)
        return ill

    def _is_well(self, container: Container, reading: Usage | None) -> bool:
        if reading is None or container.handle is None:
            return False
        if container.reusable is None and not self._is_connected(container):
            return False
        return reading.memory_bytes < MEMORY_PART * reading.memory_limit_bytes

    def _is_connected(self, container: Container) -> bool:
        driver = self._driver
        assert isinstance(driver, SupportsParking), "it was parked"
        assert container.handle is not None, "it was parked"
        return driver.is_parked(container.handle) and not container.output.closed.is_set()

    async def _answers(self, container: Container) -> bool:
        """Of one that is reused: it runs an empty command. A task that claims it meanwhile waits for that."""
        if container.reusable is None or container.claimed:
            return True
        with anyio.move_on_after(PING_S):
            try:
                async with container.turn:
                    if container.claimed:
                        return True
                    return (await container.reusable.execute(PING, lambda stream, data: None)).clean
            except WavepoolError:
                return False
        return False
