"""The Engine API with nothing in between: aiohttp on the daemon's socket. What it takes is the floor."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import anyio

SOCKET = "/var/run/docker.sock"
CONNECTIONS = 256

_Item = TypeVar("_Item")


class EngineApi:
    """Calls of one daemon, as plain as they can be. Use it as an async context manager.

    Attributes:
        path: of its socket.
    """

    def __init__(self, socket: str | None = None) -> None:
        address = socket or os.environ.get("DOCKER_HOST") or f"unix://{SOCKET}"
        if not address.startswith("unix://"):
            raise SystemExit(f"the benchmarks need a Docker daemon on a unix socket of this host, not {address}")
        self.path = address.removeprefix("unix://")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector(path=self.path, limit=CONNECTIONS)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self, method: str, path: str, params: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """One call; its JSON. Raises RuntimeError with the daemon's words for a status of 400 and above."""
        async with self._request(method, path, params, body) as response:
            raw = await response.read()
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {response.status} {raw.decode('utf-8', 'replace')}")
        return json.loads(raw) if raw.strip() else None

    @asynccontextmanager
    async def lines(self, path: str, params: Mapping[str, str]) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """A stream of JSON lines, such as events."""
        async with self._request("GET", path, params, None) as response:
            yield _documents(response)

    @asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str]) -> AsyncIterator[aiohttp.StreamReader]:
        """A stream of bytes, such as a log that is followed."""
        async with self._request("GET", path, params, None) as response:
            if response.status >= 400:
                raise RuntimeError(
                    f"GET {path}: {response.status} {(await response.read()).decode('utf-8', 'replace')}"
                )
            yield response.content

    def _request(self, method: str, path: str, params: Mapping[str, str] | None, body: Mapping[str, Any] | None) -> Any:
        assert self._session is not None
        return self._session.request(method, f"http://docker/v1.41/{path}", params=params, json=body)

    # -- containers --

    async def create_and_start(self, name: str, body: Mapping[str, Any]) -> str:
        """The id of a container that was created and started: the two calls that nobody can do without."""
        created = await self.call("POST", "containers/create", {"name": name}, body)
        container_id = str(created["Id"])
        await self.call("POST", f"containers/{container_id}/start")
        return container_id

    async def ids(self, label: str, *, running: bool = False) -> list[str]:
        """Ids of the containers with this label (``name=value``), the running ones or all."""
        filters: dict[str, list[str]] = {"label": [label]}
        if running:
            filters["status"] = ["running"]
        found = await self.call("GET", "containers/json", {"all": "1", "filters": json.dumps(filters)})
        return [str(each["Id"]) for each in found]

    async def delete(self, container_id: str) -> None:
        await self.call("DELETE", f"containers/{container_id}", {"force": "1", "v": "1"})

    async def wait(self, container_id: str) -> None:
        """Return when it has ended; it must have been started (for one that was not, the daemon answers at once)."""
        await self.call("POST", f"containers/{container_id}/wait")


async def _documents(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in response.content:
        if line.strip():
            yield json.loads(line)


async def each_of(items: Sequence[_Item], work: Callable[[_Item], Awaitable[object]], *, at_once: int) -> None:
    """Do `work` for each, at most `at_once` at a time."""
    limit = anyio.Semaphore(at_once)

    async def in_turn(item: _Item) -> None:
        async with limit:
            await work(item)

    async with anyio.create_task_group() as group:
        for item in items:
            group.start_soon(in_turn, item)
