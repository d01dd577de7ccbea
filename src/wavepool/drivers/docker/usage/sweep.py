"""One reading of many containers: by held descriptors where their cgroups are here, else by the Engine API."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import anyio

from wavepool.drivers.base import Handle, Usage
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.usage.reading import CGROUP_ROOT, CgroupReader
from wavepool.drivers.docker.usage.stats import usage_from_stats
from wavepool.errors import DriverUnavailable

ASKED_AT_ONCE = 10


class Sweeper:
    """Holds a reader for each container that it has read; `close` it, or `forget` single ones."""

    def __init__(self, api: DockerApi, *, root: Path = CGROUP_ROOT) -> None:
        self._api = api
        self._root = root
        self._readers: dict[str, CgroupReader] = {}

    async def sweep(self, handles: Collection[Handle], *, by_files: bool) -> dict[Handle, Usage]:
        """A reading for each that runs. Raises DriverUnavailable where the daemon had to be asked and is away."""
        readings: dict[Handle, Usage] = {}
        rest: list[Handle] = []
        for handle in handles:
            reading = self._read_files(handle) if by_files and handle.id else None
            if reading is None:
                rest.append(handle)
            else:
                readings[handle] = reading
        if rest:
            await self._ask(rest, readings, by_files=by_files)
        return readings

    def forget(self, container_id: str) -> None:
        """Give back the descriptors of one container; none held is fine."""
        reader = self._readers.pop(container_id, None)
        if reader is not None:
            reader.close()

    def close(self) -> None:
        for container_id in list(self._readers):
            self.forget(container_id)

    def _read_files(self, handle: Handle, pid: int | None = None) -> Usage | None:
        """A reading, or None where there is no cgroup of it (any more), or no descriptor for one."""
        try:
            reader = self._readers.get(handle.id) or CgroupReader.find(handle.id, pid=pid, root=self._root)
            if reader is None:
                return None
            self._readers[handle.id] = reader
            return reader.read()
        except OSError:
            self.forget(handle.id)
            return None

    async def _ask(self, handles: list[Handle], readings: dict[Handle, Usage], *, by_files: bool) -> None:
        limit = anyio.Semaphore(ASKED_AT_ONCE)

        away: list[DriverUnavailable] = []

        async def ask(handle: Handle) -> None:
            async with limit:
                try:
                    reading = await self._ask_one(handle, by_files=by_files)
                except DriverUnavailable as error:  # kept out of the group, which would wrap it
                    away.append(error)
                    return
            if reading is not None:
                readings[handle] = reading

        async with anyio.create_task_group() as group:
            for handle in handles:
                group.start_soon(ask, handle)
        if away:
            raise away[0]

    async def _ask_one(self, handle: Handle, *, by_files: bool) -> Usage | None:
        try:
            if by_files:
                found = await inspect(self._api, handle.id or handle.name)
                if found is None or not found["State"]["Running"]:
                    return None
                reading = self._read_files(handle, int(found["State"]["Pid"])) if handle.id else None
                if reading is not None:
                    return reading
            params = {"stream": "false", "one-shot": "true"}
            return usage_from_stats(await self._api.read(f"containers/{handle.id or handle.name}/stats", params))
        except Refused:
            return None  # ended or removed since
