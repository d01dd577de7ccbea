"""What an owner's containers look like from outside: state, ports, last words and use. Never their variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from wavepool import labels
from wavepool.drivers.base import LogChunk, Scope
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import inspect, list_containers
from wavepool.drivers.docker.output.frames import FrameDecoder
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.usage.stats import usage_from_stats
from wavepool.drivers.docker.watching.sightings import container_name
from wavepool.drivers.docker.watching.verdict import parse_time
from wavepool.errors import DriverUnavailable

_EXITED = re.compile(r"Exited \((\d+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSight:
    """One container as the engine lists it.

    Attributes:
        state: created, running, paused, restarting, removing, exited or dead.
        exit_code: of one that has ended.
        ports: ``80/tcp`` -> where of the host it is reached, as (address, port); none where it is not published.
    """

    id: str
    name: str
    image: str
    state: str
    exit_code: int | None
    created_at: datetime
    labels: Mapping[str, str]
    ports: Mapping[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUse:
    """What a container uses, since its start where it adds up; `at` is the engine's time of the reading."""

    at: datetime
    cpu_s: float
    memory_bytes: int
    memory_limit_bytes: int
    pids: int
    received_bytes: int
    sent_bytes: int
    read_bytes: int
    written_bytes: int


class DockerSights:
    """Looks, and changes nothing. Use it as an async context manager: leaving closes its connections.

    Args:
        host: the engine's address; None for DOCKER_HOST, the current context, or the usual sockets.
    """

    def __init__(self, host: str | None = None) -> None:
        self._api = DockerApi(host)
        self._terminals: dict[str, bool] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._api.close()

    async def containers(self, owner: str) -> list[ContainerSight]:
        """All of this owner's, in whatever state, the newest first. Raises DriverUnavailable."""
        try:
            found = await list_containers(self._api, Scope(owner=owner))
        except Refused as refused:
            raise DriverUnavailable(f"the Docker daemon does not list containers: {refused.words}") from refused
        sights = [_sight(each) for each in found if labels.is_ours(each.get("Labels") or {}, owner)]
        known = {each.id for each in sights}
        self._terminals = {key: value for key, value in self._terminals.items() if key in known}
        return sights

    async def use(self, container_id: str) -> ContainerUse | None:
        """What it uses now; None where it does not run. Raises DriverUnavailable."""
        params = {"stream": "false", "one-shot": "true"}
        try:
            return use_from_stats(await self._api.read(f"containers/{container_id}/stats", params))
        except Refused:
            return None  # ended or removed since

    async def last_words(self, container_id: str, messages: int) -> bytes:
        """The end of its output: so many of the engine's messages, which are lines, or 16 KiB of a longer one.

        Empty where it is gone, or its output is kept nowhere.

        Raises:
            DriverUnavailable: the daemon cannot be reached, or broke off.
        """
        try:
            terminal = await self._has_terminal(container_id)
            params = {"stdout": "1", "stderr": "1", "tail": str(messages), "timestamps": "0" if terminal else "1"}
            async with self._api.stream("GET", f"containers/{container_id}/logs", params) as stream:
                raw = b"".join([piece async for piece in stream])
        except Refused:
            return b""
        return raw if terminal else b"".join(chunk.data for chunk in _chunks(raw))

    async def _has_terminal(self, container_id: str) -> bool:
        """Whether its output is one stream without frames. Raises Refused, DriverUnavailable."""
        if container_id not in self._terminals:
            found = await inspect(self._api, container_id)
            self._terminals[container_id] = bool(((found or {}).get("Config") or {}).get("Tty"))
        return self._terminals[container_id]


def use_from_stats(stats: Mapping[str, Any]) -> ContainerUse | None:
    """Of the answer of ``/containers/{id}/stats``; None where the container does not run."""
    usage, at = usage_from_stats(stats), parse_time(stats.get("read"))
    if usage is None or at is None:
        return None
    networks = (stats.get("networks") or {}).values()
    blocks = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    return ContainerUse(
        at=at,
        cpu_s=usage.cpu_s,
        memory_bytes=usage.memory_bytes,
        memory_limit_bytes=usage.memory_limit_bytes,
        pids=usage.pids,
        received_bytes=sum(int(each.get("rx_bytes", 0)) for each in networks),
        sent_bytes=sum(int(each.get("tx_bytes", 0)) for each in networks),
        read_bytes=_sum(blocks, "read"),
        written_bytes=_sum(blocks, "write"),
    )


def _sum(blocks: Iterable[Mapping[str, Any]], kind: str) -> int:
    return sum(int(each.get("value", 0)) for each in blocks if str(each.get("op", "")).lower() == kind)


def _chunks(raw: bytes) -> list[LogChunk]:
    try:
        return FrameDecoder().feed(raw)
    except ValueError as error:
        raise DriverUnavailable(f"the log is of no shape that is known: {error}") from error


def _sight(found: Mapping[str, Any]) -> ContainerSight:
    exited = _EXITED.match(str(found.get("Status", "")))
    ports: dict[str, list[tuple[str, str]]] = {}
    for port in found.get("Ports") or []:
        at = ports.setdefault(f"{port.get('PrivatePort')}/{port.get('Type', 'tcp')}", [])
        if port.get("PublicPort"):
            at.append((str(port.get("IP", "")), str(port["PublicPort"])))
    return ContainerSight(
        id=str(found["Id"]),
        name=container_name(found),
        image=str(found.get("Image", "")),
        state=str(found.get("State", "")),
        exit_code=None if exited is None else int(exited[1]),
        created_at=datetime.fromtimestamp(float(found.get("Created", 0)), UTC),
        labels=found.get("Labels") or {},
        ports={name: tuple(at) for name, at in ports.items()},
    )
