"""Logs of single containers, kept as files: ``<container id>.log``, for this user alone."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.to_thread

from wavepool.drivers.base import Driver
from wavepool.engine.attempts.saving import save_chunks
from wavepool.errors import DriverUnavailable
from wavepool.model import Handle
from wavepool.statedir import StateDir

TRIES = 3
PAUSE_S = 0.5
"""Before a log that was cut off is read again."""


class LogArchive:
    """Where logs of spawned containers go.

    Args:
        directory: for all of them; None for the logs of the run that each belongs to.
    """

    def __init__(self, driver: Driver, state_dir: StateDir, directory: Path | None) -> None:
        self._driver = driver
        self._state_dir = state_dir
        self._directory = directory

    def place(self, handle: Handle, run_id: str) -> Path:
        """Where this container's log goes."""
        return (self._directory or self._state_dir.run(run_id).logs) / f"{handle.id}.log"

    async def save(self, handle: Handle, run_id: str) -> Path:
        """Write the output of one that has ended, whole; returns where.

        Raises:
            NoSuchAttempt: it is gone.
            DriverUnavailable: the engine cannot be reached.
            OSError: the file cannot be written.
        """
        path = self.place(handle, run_id)
        for _ in range(TRIES - 1):
            try:
                return await self._save(handle, path)
            except DriverUnavailable:
                await anyio.sleep(PAUSE_S)
        return await self._save(handle, path)

    async def _save(self, handle: Handle, path: Path) -> Path:
        async with self._driver.logs(handle) as chunks:
            # Whoever made a file of this name may have given it another mode.
            await anyio.to_thread.run_sync(lambda: path.unlink(missing_ok=True))
            await save_chunks(chunks, path)
        return path
