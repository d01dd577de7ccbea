"""Networks of one attempt, or of one stack: made with a subnet that we choose, known by their id, found by label.

By id, because a create that was cut off may leave a second one of the same name, and a name would then be ambiguous.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from ipaddress import IPv4Network
from itertools import islice
from typing import Any

import anyio
import anyio.to_thread

from wavepool.drivers.base import OwnNetwork
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.networks.subnets import candidates, routed
from wavepool.drivers.docker.trouble import Refused, advice_for
from wavepool.errors import DriverUnavailable, NotStarted, Unknown
from wavepool.inputs.subnets import parse_subnet_pool

BLIND_TRIES = 8
"""Subnets that are simply asked for; after that the engine is asked once what it has given away."""
INFORMED_TRIES = 64
AT_ONCE = 4
"""Creates under way together: each sets up a bridge and its firewall rules, one after the other in the engine."""
LOOK_AGAIN_S = 0.1
CUT_OFF_S = 30.0
"""How long a create that was cut off may take to show up."""

_OVERLAP = ("overlaps with other one", "conflicts with network", "overlaps with")


class OwnNetworks:
    """Makes and finds them."""

    def __init__(self, api: DockerApi) -> None:
        self._api = api
        self._limit = anyio.Semaphore(AT_ONCE)

    async def ensure(self, network: OwnNetwork, containers: int) -> str:
        """The id of the network, after making it where it is missing; `containers` will be on it.

        Raises:
            NotStarted: no address is left, or the engine refuses.
            Unknown: the create was cut off, and nothing came of it yet.
            DriverUnavailable: the engine cannot be reached.
        """
        pools = parse_subnet_pool(network.subnet_pool)
        async with self._limit:
            taken = await anyio.to_thread.run_sync(routed) if self._shares_host() else []
            for subnet in islice(candidates(pools, network.name, containers, taken), BLIND_TRIES):
                if (made := await self._make(network, subnet)) is not None:
                    return made
            taken += await self._given_away()
            for subnet in islice(candidates(pools, network.name, containers, taken), INFORMED_TRIES):
                if (made := await self._make(network, subnet)) is not None:
                    return made
        raise NotStarted(
            f"network {network.name}: no subnet for {containers} containers is free in {network.subnet_pool}",
            transient=True,
            advice="Every address is taken: choose another private range with the setting subnet_pool, "
            "or see `docker network ls` for networks that nobody uses.",
        )

    async def find(self, network: OwnNetwork) -> str | None:
        """The id of the oldest network of this name and labels, None where there is none. Raises DriverUnavailable."""
        same = [each for each in await self._listed({"name": [network.name]}) if each["Name"] == network.name]
        ours = [each for each in same if network.labels.items() <= (each.get("Labels") or {}).items()]
        return min(ours, key=lambda each: (each.get("Created", ""), each["Id"]))["Id"] if ours else None

    async def _make(self, network: OwnNetwork, subnet: IPv4Network) -> str | None:
        """Its id; None where somebody else has (a part of) this subnet."""
        body = {
            "Name": network.name,
            "CheckDuplicate": True,
            "Driver": "bridge",
            "Internal": network.internal,
            # Internal alone keeps containers from other networks; a bridge without an address, from the host too.
            "Options": {"com.docker.network.bridge.inhibit_ipv4": "true"} if network.internal else {},
            "Labels": dict(network.labels),
            "IPAM": {"Driver": "default", "Config": [{"Subnet": str(subnet)}]},
        }
        try:
            return str((await self._api.change("POST", "networks/create", body=body))["Id"])
        except Refused as refused:
            if refused.status == 409:
                return await self._existing(network)
            if any(words in refused.words for words in _OVERLAP):
                return None
            raise NotStarted(
                f"network {network.name} cannot be made: {refused.words}",
                transient=True,
                advice=advice_for(refused.words, network=network.name),
            ) from refused
        except Unknown as cut:
            return await self._after_cut(network, cut)

    async def _existing(self, network: OwnNetwork) -> str:
        found = await self.find(network)
        if found is None:
            raise NotStarted(
                f"network {network.name}: another network has this name, and it is not ours",
                advice=f"See `docker network inspect {network.name}`; remove it if nobody needs it.",
            )
        return found

    async def _after_cut(self, network: OwnNetwork, cut: Unknown) -> str:
        give_up = time.monotonic() + CUT_OFF_S
        while time.monotonic() < give_up:
            if (found := await self.find(network)) is not None:
                return found
            await anyio.sleep(LOOK_AGAIN_S)
        raise cut

    async def _given_away(self) -> list[IPv4Network]:
        found: list[IPv4Network] = []
        for each in await self._listed({}):
            for config in (each.get("IPAM") or {}).get("Config") or []:
                try:
                    found.append(IPv4Network(config.get("Subnet", ""), strict=False))
                except ValueError:
                    continue  # IPv6
        return found

    async def _listed(self, filters: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        try:
            return await self._api.read("networks", {"filters": json.dumps(filters)}) or []
        except Refused as refused:
            raise DriverUnavailable(f"the networks cannot be listed: {refused.words}") from refused

    def _shares_host(self) -> bool:
        return self._api.address.startswith("unix://")
