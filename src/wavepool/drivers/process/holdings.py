"""What an owner holds of this host as plain processes: their records, read without settling or killing anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio.to_thread

from wavepool.drivers.base import Driver, Handle, LogChunk, Scope
from wavepool.drivers.holdings import HeldContainer, HeldNetwork, HeldSecrets, Holdings
from wavepool.drivers.process.records import DRIVER_NAME, Record, Records
from wavepool.errors import NoSuchAttempt


class ProcessHoldings(Holdings):
    """See `Holdings`. Secrets belong to the records and go with them; there are no networks.

    Args:
        base_dir: as of the driver; one that does not exist holds nothing, and is not made.
        driver: on the same directory, open; closed by its owner.
    """

    driver = DRIVER_NAME

    def __init__(self, *, base_dir: Path, driver: Driver) -> None:
        self._base_dir = base_dir
        self._records = Records(base_dir)
        self._driver = driver

    async def containers(self, owner: str) -> tuple[HeldContainer, ...]:
        return await anyio.to_thread.run_sync(self._look, owner)

    async def networks(self, owner: str) -> tuple[HeldNetwork, ...]:
        return ()

    async def secrets(self, owner: str) -> tuple[HeldSecrets, ...]:
        return ()

    @asynccontextmanager
    async def output(self, container: HeldContainer) -> AsyncIterator[AsyncIterator[LogChunk]]:
        handle = self._handle(container)
        if handle is None:
            raise NoSuchAttempt(f"there is no record of {container.name} any more")
        async with self._driver.logs(handle) as chunks:
            yield chunks

    async def stop(self, container: HeldContainer, grace_s: float) -> None:
        handle = self._handle(container)
        if handle is not None:
            await self._driver.stop(handle, grace_s)

    async def remove(self, container: HeldContainer) -> str:
        handle = self._handle(container)
        if handle is None:
            return ""
        return "; ".join((await self._driver.remove(handle)).errors)

    async def remove_network(self, network: HeldNetwork) -> str:
        return ""

    async def discard(self, secrets: HeldSecrets) -> str:
        return ""

    def _handle(self, container: HeldContainer) -> Handle | None:
        record = self._records.read(container.name)
        return None if record is None else record.handle

    def _look(self, owner: str) -> tuple[HeldContainer, ...]:
        return tuple(self._held(record) for record in self._records.within(Scope(owner=owner)))

    def _held(self, record: Record) -> HeldContainer:
        mark, ended = self._records.mark(record.name), self._records.exit(record.name)
        at = (ended.finished_at if ended is not None else None) or (mark.at if mark is not None else None)
        return HeldContainer(
            driver=DRIVER_NAME,
            id=record.name,
            name=record.name,
            labels=record.labels,
            running=ended is None and mark is not None and mark.supervisor is not None and mark.supervisor.is_alive(),
            started=mark is not None and mark.supervisor is not None,
            since=datetime.fromtimestamp(at if at is not None else self._made_at(record), UTC),
        )

    def _made_at(self, record: Record) -> float:
        try:
            return self._records.path(record.name).stat().st_mtime
        except OSError:
            return datetime.now(UTC).timestamp()
