"""Drivers that are opened when somebody needs them, shared, and closed with the monitor."""

from __future__ import annotations

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus

from wavepool.drivers.base import Driver
from wavepool.statedir import StateDir
from wavepool.wiring import driver_named

_log = structlog.get_logger(__name__)


class OpenDrivers:
    """Each is held by a task of its own, which enters and leaves it, as the tasks inside a driver ask for."""

    def __init__(self, state_dir: StateDir) -> None:
        self._state_dir = state_dir
        self._open: dict[str, Driver] = {}
        self._turns: dict[str, anyio.Lock] = {}

    async def named(self, name: str, group: TaskGroup) -> Driver:
        """The driver that journals know by this name, held in `group`.

        Raises:
            DriverUnavailable: there is none of that name, or it cannot be opened.
        """
        async with self._turns.setdefault(name, anyio.Lock()):
            if name not in self._open:
                await group.start(self._hold, name, driver_named(name, self._state_dir))
            return self._open[name]

    async def _hold(self, name: str, driver: Driver, *, task_status: TaskStatus[None]) -> None:
        try:
            async with driver:
                self._open[name] = driver
                task_status.started()
                await anyio.sleep_forever()
        except Exception:
            if name not in self._open:
                raise  # to who asked for it
            _log.exception("a driver failed, and is opened anew when it is needed", driver=name)
        finally:
            self._open.pop(name, None)
