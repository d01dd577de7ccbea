"""A container for many tasks by the raw Engine API: kill, wipe, check, and no more. The floor of reusable pools."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

import anyio

from bench.engine_api import EngineApi
from bench.parked import DEADLINE_S, Attach, shell_body

WIPED = "/workspace/* /tmp/* /dev/shm/*"


class RawReused:
    """One container; its output comes over the connection that takes its commands, and no log is kept."""

    def __init__(self, api: EngineApi, container_id: str, attach: Attach) -> None:
        self.id = container_id
        self._api = api
        self._attach = attach
        self._tasks = 0

    @classmethod
    async def open(cls, api: EngineApi, name: str, body: Mapping[str, Any]) -> Self:
        """Create it, attach, start it."""
        wanted = shell_body(body, output=True)
        wanted["HostConfig"] = {**wanted["HostConfig"], "LogConfig": {"Type": "none", "Config": {}}}
        created = await api.call("POST", "containers/create", {"name": name}, wanted)
        container_id = str(created["Id"])
        attach = await Attach.open(api, container_id, output=True)
        await api.call("POST", f"containers/{container_id}/start")
        return cls(api, container_id, attach)

    async def execute(self, command: str) -> float:
        """Seconds for one task, from the submission until what it left is killed, wiped and seen to be gone."""
        self._tasks += 1
        marker = f"done-{self._tasks}"
        began_s = time.perf_counter()
        await self._attach.send(
            f"({command}) </dev/null; kill -9 -1; rm -rf {WIPED}; set -- /proc/[0-9]*; "
            f"[ $# -le 3 ] && echo {marker} || echo unclean; set --\n".encode()
        )
        with anyio.fail_after(DEADLINE_S):
            await self._attach.receive_until(marker.encode())
        return time.perf_counter() - began_s

    async def remove(self) -> None:
        """Close its connection and delete it."""
        await self._attach.aclose()
        await self._api.delete(self.id)
