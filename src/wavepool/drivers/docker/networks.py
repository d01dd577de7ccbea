"""Networks by name: made where missing and labelled ours, removed again only where ours and empty."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import anyio

from wavepool import labels
from wavepool.drivers.base import NetworkNeed, Scope
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.trouble import Refused, advice_for
from wavepool.errors import DriverUnavailable, PrepareError, Unknown

_BUILT_IN = ("none", "host", "bridge", "default")


class Networks:
    """What `prepare` made is remembered, so that `start` can make it again if someone removed it in between."""

    def __init__(self, api: DockerApi) -> None:
        self._api = api
        self._needs: dict[str, NetworkNeed] = {}
        self._making = anyio.Lock()

    async def ensure(self, need: NetworkNeed) -> bool:
        """See that a network of this name exists; True where it had to be made.

        Raises:
            PrepareError: it cannot be made.
            DriverUnavailable: the daemon cannot be reached.
        """
        self._needs[need.name] = need
        if need.name in _BUILT_IN:
            return False
        async with self._making:
            if await self._named(need.name):
                return False
            return await self._make(need)

    async def restore(self, name: str | None) -> bool:
        """Make a network again that `ensure` was once asked for; False where it never was. Raises as `ensure`."""
        need = self._needs.get(name) if name is not None else None
        if need is None:
            return False
        await self.ensure(need)
        return True

    async def remove_empty(self, scope: Scope) -> tuple[list[str], list[str]]:
        """Remove the networks of `scope` that no container refers to; returns (removed names, errors).

        Raises:
            DriverUnavailable: the daemon cannot be reached.
        """
        removed: list[str] = []
        errors: list[str] = []
        for network in await self._in_scope(scope):
            try:
                if await self._is_empty(network["Id"]) and await self._remove(network["Id"]):
                    removed.append(network["Name"])
            except (Refused, Unknown) as error:
                errors.append(f"network {network['Name']}: {error.message}")
        return removed, errors

    async def _named(self, name: str) -> list[dict[str, Any]]:
        """All networks of exactly this name (the daemon's own filter finds parts of names too), the oldest first."""
        found = await self._list({"name": [name]})
        same = [network for network in found if network["Name"] == name]
        return sorted(same, key=lambda network: (network.get("Created", ""), network["Id"]))

    async def _list(self, filters: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        try:
            return await self._api.read("networks", {"filters": json.dumps(filters)}) or []
        except Refused as refused:
            raise DriverUnavailable(f"the networks cannot be listed: {refused.words}") from refused

    async def _make(self, need: NetworkNeed) -> bool:
        body = {"Name": need.name, "CheckDuplicate": True, "Driver": "bridge", "Labels": dict(need.labels)}
        try:
            made = (await self._api.change("POST", "networks/create", body=body))["Id"]
        except Refused as refused:
            if refused.status == 409:  # another process was faster
                return False
            raise _cannot_make(need.name, refused) from refused
        except Unknown as error:
            if await self._named(need.name):
                return True
            raise PrepareError(need.name, f"network {need.name}: {error.message}") from error
        same = await self._named(need.name)
        if len(same) > 1 and same[0]["Id"] != made:
            # CheckDuplicate is only best effort: of two that were made at once every maker keeps the oldest.
            await self._remove(made)
            return False
        return True

    async def _in_scope(self, scope: Scope) -> list[dict[str, Any]]:
        wanted = [f"{labels.OWNER}={scope.owner}"]
        if scope.shared_network is None and scope.run_id is not None:
            wanted += [f"{labels.RUN}={scope.run_id}", f"{labels.SCOPE}=wave"]
        if scope.shared_network is None and scope.wave is not None:
            wanted.append(f"{labels.WAVE}={scope.wave}")
        found = [network for network in await self._list({"label": wanted}) if _carries(network, wanted)]
        if scope.shared_network is not None:
            found = [network for network in found if network["Name"] == scope.shared_network]
        return found

    async def _is_empty(self, network_id: str) -> bool:
        """No container refers to it, running or not: one that is only created would fail to start without it."""
        filters = json.dumps({"network": [network_id]})
        if await self._api.read("containers/json", {"all": "1", "filters": filters, "limit": "1"}):
            return False
        try:
            network = await self._api.read(f"networks/{network_id}")
        except Refused as refused:
            if refused.status == 404:
                return True
            raise
        return not network.get("Containers")

    async def _remove(self, network_id: str) -> bool:
        """Remove it; False where someone else was faster, or uses it since."""
        try:
            await self._api.change("DELETE", f"networks/{network_id}")
        except Refused as refused:
            if refused.status == 404 or "active endpoints" in refused.words:
                return False
            raise
        return True


def _carries(network: Mapping[str, Any], wanted: list[str]) -> bool:
    found = network.get("Labels") or {}
    return all(found.get(key) == value for key, _, value in (text.partition("=") for text in wanted))


def _cannot_make(name: str, refused: Refused) -> PrepareError:
    words = refused.words
    advice = advice_for(words, network=name) or f"See whether `docker network create {name}` works."
    return PrepareError(name, f"network {name} cannot be made: {words}", advice=advice)
