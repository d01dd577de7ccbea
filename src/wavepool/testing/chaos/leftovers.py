"""What is still there of one owner, looked for past everything that made it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wavepool import labels
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.trouble import Refused
from wavepool.errors import Unknown


class Leftovers:
    """Looks, and (only `sweep`) removes, by the owner's label and by the place that everything was started in.

    Args:
        root: the directory in which all of it was started.
        state: the state directory.
        api: of the daemon that was used; None where there was none.
    """

    def __init__(self, root: Path, state: Path, api: DockerApi | None) -> None:
        self._root = root
        self._state = state
        self._api = api

    async def found(self, owner: str, names: set[str], *, except_pids: set[int]) -> list[str]:
        """A few words for each thing: containers, networks, processes, records, slots, control groups, secrets.

        `names` are the derived names of all attempts, `except_pids` processes that may still be there.
        """
        left = [f"process {pid}" for pid in self._pids() if pid not in except_pids]
        left += self._in_files(names)
        if self._api is not None and owner:
            left += [f"container {each['Names'][0].lstrip('/')}" for each in await self._containers(owner)]
            left += [
                f"network {each['Name']}" for each in await self._networks(owner) if not await self._is_stuck(each)
            ]
        return left

    def _in_files(self, names: set[str]) -> Iterator[str]:
        yield from (f"slot {path.name}" for path in (self._state / "runs").glob("*/slots/*"))
        yield from (f"record {path.name}" for path in (self._state / "processes" / "attempts").glob("*"))
        yield from (f"control group {path}" for path in _cgroups() if path.name in names)
        yield from (f"secret {path}" for path in Path("/dev/shm").glob("wavepool-*/*") if path.name in names)

    async def sweep(self, owner: str, *, except_pids: set[int]) -> None:
        """Remove the owner's containers and networks, and end the processes that were started here but for these."""
        for pid in self._pids():
            if pid not in except_pids:
                _kill(pid)
        if self._api is None or not owner:
            return
        for container in await self._containers(owner):
            await self._try("DELETE", f"containers/{container['Id']}", {"force": "true", "v": "true"})
        for network in await self._networks(owner):
            await self._try("DELETE", f"networks/{network['Id']}")

    async def _containers(self, owner: str) -> list[dict[str, Any]]:
        assert self._api is not None
        found: list[dict[str, Any]] = await self._api.read("containers/json", {"all": "true", **_of(owner)})
        return found

    async def _networks(self, owner: str) -> list[dict[str, Any]]:
        assert self._api is not None
        found: list[dict[str, Any]] = await self._api.read("networks", _of(owner))
        return found

    async def _is_stuck(self, network: dict[str, Any]) -> bool:
        """Whether the engine itself cannot remove it: it miscounts endpoints now and then (moby/moby#42119)."""
        assert self._api is not None
        try:
            await self._api.change("DELETE", f"networks/{network['Id']}")
        except Refused as refused:
            return "has active endpoints" in refused.words or refused.status == 404
        except Unknown:
            return False
        return False  # it could be removed, so it was left behind

    async def _try(self, method: str, path: str, params: dict[str, str] | None = None) -> None:
        assert self._api is not None
        try:
            await self._api.change(method, path, params)
        except (Refused, Unknown):
            return  # gone already, or told by whoever looks next

    def _pids(self) -> Iterator[int]:
        """Processes whose words or variables name our directory."""
        own = os.getpid()
        wanted = str(self._root).encode()
        with os.scandir("/proc") as entries:
            for entry in entries:
                if not entry.name.isdigit() or int(entry.name) == own:
                    continue
                try:
                    said = Path(entry.path, "environ").read_bytes() + Path(entry.path, "cmdline").read_bytes()
                except OSError:  # it has ended, or is not ours
                    continue
                if wanted in said:
                    yield int(entry.name)


def _of(owner: str) -> dict[str, str]:
    return {"filters": json.dumps({"label": [f"{labels.OWNER}={owner}"]})}


def _cgroups() -> Iterator[Path]:
    """All control groups below one of the process driver's. Others come and go meanwhile: os.walk passes over them."""
    for directory, below, _ in os.walk("/sys/fs/cgroup"):
        if os.path.basename(directory) == "wavepool":
            yield from (Path(directory, name) for name in below)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return
