"""What an owner holds of a Docker engine: containers of every role, networks, and secrets on this host's tmpfs."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import anyio.to_thread

from wavepool import labels
from wavepool.drivers.base import LogChunk
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.networks.shared import Networks
from wavepool.drivers.docker.remains.records import DockerRecords
from wavepool.drivers.docker.remains.removal import STOP_MARGIN_S, Remover, Target
from wavepool.drivers.docker.sidecars.companions import Companions
from wavepool.drivers.docker.starting.delivery import SecretStore, default_secrets_dir
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.sightings import DRIVER_NAME, OwnActs, container_name
from wavepool.drivers.docker.watching.verdict import parse_time
from wavepool.drivers.holdings import HeldContainer, HeldNetwork, HeldSecrets, Holdings
from wavepool.errors import DriverUnavailable, NoSuchAttempt, Unknown

_NEVER_STARTED = ("created",)
_RUNNING = ("running", "paused", "restarting")


class DockerHoldings(Holdings):
    """See `Holdings`.

    Args:
        host: the engine's address; None for DOCKER_HOST, the current context, or the usual sockets.
        secrets_dir: as of the driver.
    """

    driver = DRIVER_NAME

    def __init__(self, *, host: str | None = None, secrets_dir: Path | None = None) -> None:
        self._api = DockerApi(host)
        self._records = DockerRecords(host)
        self._networks = Networks(self._api)
        self._store = SecretStore(secrets_dir or default_secrets_dir())
        own = OwnActs()
        self._remover = Remover(self._api, own, self._networks, self._store, Companions(self._api, own))

    async def __aenter__(self) -> Self:
        await self._records.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._records.__aexit__()
        await self._api.close()

    async def containers(self, owner: str) -> tuple[HeldContainer, ...]:
        found = [each for each in await self._list("containers/json", owner, all="1") if _is_of(each, owner)]
        return tuple([await self._held(each) for each in found])

    async def networks(self, owner: str) -> tuple[HeldNetwork, ...]:
        found = [each for each in await self._list("networks", owner) if _is_of(each, owner)]
        return tuple([await self._network(each) for each in found])

    async def secrets(self, owner: str) -> tuple[HeldSecrets, ...]:
        return await anyio.to_thread.run_sync(self._store.held, owner)

    @asynccontextmanager
    async def output(self, container: HeldContainer) -> AsyncIterator[AsyncIterator[LogChunk]]:
        record = await self._records.container(container.id)
        if record is None:
            raise NoSuchAttempt(f"there is no container {container.name} any more")
        async with self._records.output(record) as chunks:
            yield chunks

    async def stop(self, container: HeldContainer, grace_s: float) -> None:
        grace = math.ceil(max(0.0, grace_s))
        path = f"containers/{container.id}/stop"
        try:
            await self._api.change("POST", path, {"t": str(grace)}, deadline_s=grace + STOP_MARGIN_S)
        except Refused as refused:
            if refused.status != 404:
                raise Unknown(f"{container.name} could not be stopped: {refused.words}") from refused

    async def remove(self, container: HeldContainer) -> str:
        return await self._remover.remove_known(Target(id=container.id, name=container.name, volumes=0))

    async def remove_network(self, network: HeldNetwork) -> str:
        return await self._networks.remove_known(network.id, network.name)

    async def discard(self, secrets: HeldSecrets) -> str:
        try:
            await anyio.to_thread.run_sync(self._store.discard, secrets.name)
        except OSError as error:
            return f"the secrets of {secrets.name} are still there: {error}"
        return ""

    async def _held(self, summary: Mapping[str, Any]) -> HeldContainer:
        state = str(summary.get("State", ""))
        since = datetime.fromtimestamp(float(summary.get("Created", 0)), UTC)
        record = await self._records.container(summary["Id"])
        if record is not None:
            since = record.final.finished_at or record.final.started_at or since
        return HeldContainer(
            driver=DRIVER_NAME,
            id=summary["Id"],
            name=container_name(summary),
            labels=summary.get("Labels") or {},
            running=state in _RUNNING,
            started=state not in _NEVER_STARTED,
            since=since,
        )

    async def _network(self, found: Mapping[str, Any]) -> HeldNetwork:
        users = await self._read("containers/json", {"all": "1", "filters": json.dumps({"network": [found["Id"]]})})
        return HeldNetwork(
            id=found["Id"],
            name=found["Name"],
            labels=found.get("Labels") or {},
            users=frozenset(each["Id"] for each in users or []),
            since=parse_time(found.get("Created")) or datetime.now(UTC),  # unknown: young, so that it is left alone
        )

    async def _list(self, path: str, owner: str, **params: str) -> list[dict[str, Any]]:
        filters = json.dumps({"label": [f"{labels.OWNER}={owner}"]})
        found: list[dict[str, Any]] | None = await self._read(path, {**params, "filters": filters})
        return found or []

    async def _read(self, path: str, params: Mapping[str, str]) -> Any:
        try:
            return await self._api.read(path, params)
        except (Refused, Unknown) as refused:
            raise DriverUnavailable(f"the Docker daemon does not list /{path}: {refused.message}") from refused


def _is_of(found: Mapping[str, Any], owner: str) -> bool:
    """The daemon's filter is asked for this already; nothing is ever taken away on its word alone."""
    return labels.is_ours(found.get("Labels") or {}, owner)
