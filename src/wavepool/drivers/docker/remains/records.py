"""Read-only looks at one engine: containers, images and networks, whoever made them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from wavepool import labels
from wavepool.drivers.base import LogChunk
from wavepool.drivers.docker.api import ByteStream, DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.output.logs import LogStream
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.verdict import Final, read_final
from wavepool.errors import DriverUnavailable, InputError, NoSuchAttempt, shorten

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRecord:
    """One container as `inspect` tells it.

    Attributes:
        tty: its output is one raw stream without frames.
        memory_bytes: its limit, 0 for none.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    final: Final
    tty: bool
    memory_bytes: int


class DockerRecords:
    """Looks, and changes nothing. Use it as an async context manager: leaving closes its connections.

    Args:
        host: the engine's address; None for DOCKER_HOST, the current context, or the usual sockets.
    """

    def __init__(self, host: str | None = None) -> None:
        self._api = DockerApi(host)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._api.close()

    async def ping(self) -> None:
        """See that the engine answers. Raises DriverUnavailable."""
        await self._read("version")

    async def container(self, reference: str) -> ContainerRecord | None:
        """The container of this id (or the unambiguous start of one) or name; None where there is none.

        Raises:
            InputError: this can be neither an id nor a name.
            DriverUnavailable: the daemon cannot be reached, or refuses to tell.
        """
        try:
            found = await inspect(self._api, checked_reference(reference))
        except Refused as refused:
            raise DriverUnavailable(f"container {reference} cannot be inspected: {refused.words}") from refused
        return None if found is None else _record(found)

    async def container_labels(self, container: str) -> Mapping[str, str] | None:
        """Labels of the container of this id or name; None where there is none. Raises as `container`."""
        record = await self.container(container)
        return None if record is None else record.labels

    async def has_image(self, reference: str) -> bool:
        """True if the image is on the host. Raises DriverUnavailable."""
        try:
            await self._api.read(f"images/{reference}/json")
        except Refused as refused:
            if refused.status in (400, 404):
                return False
            raise DriverUnavailable(f"the image {reference} cannot be inspected: {refused.words}") from refused
        return True

    async def network_labels(self, name: str) -> Mapping[str, str] | None:
        """Labels of the network of exactly this name; None where there is none. Raises DriverUnavailable."""
        for network in await self._networks({"name": [name]}):
            if network.get("Name") == name:  # the daemon's filter finds parts of names too
                return network.get("Labels") or {}
        return None

    async def runs_with_networks(self, owner: str, wave: int) -> frozenset[str]:
        """Ids of this owner's runs that have a network of their own for that wave. Raises DriverUnavailable."""
        wanted = {labels.OWNER: owner, labels.WAVE: str(wave), labels.SCOPE: "wave"}
        found = await self._networks({"label": [f"{key}={value}" for key, value in wanted.items()]})
        tagged = [network.get("Labels") or {} for network in found]
        return frozenset(each[labels.RUN] for each in tagged if labels.RUN in each and wanted.items() <= each.items())

    @asynccontextmanager
    async def events(self, containers: frozenset[str], since_s: float) -> AsyncIterator[ByteStream]:
        """The raw stream of ends and removals of these containers (full ids) since then. Raises DriverUnavailable."""
        filters = {"type": ["container"], "container": sorted(containers), "event": ["die", "destroy"]}
        params = {"filters": json.dumps(filters), "since": f"{since_s:.6f}"}
        try:
            async with self._api.stream("GET", "events", params) as stream:
                yield stream
        except Refused as refused:
            raise DriverUnavailable(f"events cannot be read: {refused.words}") from refused

    @asynccontextmanager
    async def output(self, record: ContainerRecord) -> AsyncIterator[AsyncIterator[LogChunk]]:
        """All that the container has written so far.

        Raises:
            NoSuchAttempt: it is gone.
            DriverUnavailable: the daemon cannot be reached, or cannot give the output.
        """
        opened = False
        try:
            params = {"stdout": "1", "stderr": "1", "timestamps": "0" if record.tty else "1"}
            async with self._api.stream("GET", f"containers/{record.id}/logs", params) as stream:
                opened = True
                yield _RawChunks(stream) if record.tty else await LogStream.of(stream, record.name)
        except Refused as refused:
            if opened:
                raise
            if refused.status == 404:
                raise NoSuchAttempt(f"there is no container {record.name} any more") from refused
            raise DriverUnavailable(f"the log of {record.name} cannot be read: {refused.words}") from refused

    async def _networks(self, filters: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] | None = await self._read("networks", {"filters": json.dumps(filters)})
        return found or []

    async def _read(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        try:
            return await self._api.read(path, params)
        except Refused as refused:
            raise DriverUnavailable(f"the Docker daemon refuses /{path}: {refused.words}") from refused


def checked_reference(reference: object) -> str:
    """`reference`, if it can be a container's id or name; it becomes a part of a path.

    Raises:
        InputError: it cannot.
    """
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise InputError(f"got {shorten(reference)}, expected a container's id or name")
    return reference


def _record(found: Mapping[str, Any]) -> ContainerRecord:
    config: Mapping[str, Any] = found.get("Config") or {}
    host_config: Mapping[str, Any] = found.get("HostConfig") or {}
    return ContainerRecord(
        id=str(found["Id"]),
        name=str(found.get("Name", "")).lstrip("/"),
        labels=config.get("Labels") or {},
        final=read_final(found["State"]),
        tty=bool(config.get("Tty")),
        memory_bytes=int(host_config.get("Memory", 0)),
    )


class _RawChunks:
    """The output of a container with a terminal: one stream without frames."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LogChunk:
        return LogChunk(stream="stdout", data=await anext(self._stream))
