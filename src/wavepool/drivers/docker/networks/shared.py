"""Networks by name: made where missing and labelled ours, removed again only where ours and empty."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Mapping
from typing import Any

import anyio

from wavepool import labels
from wavepool.drivers.base import NetworkNeed, Scope
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.trouble import Refused, advice_for
from wavepool.errors import DriverUnavailable, PrepareError, Unknown

_BUILT_IN = ("none", "host", "bridge", "default")
LOOK_AGAIN_S = 0.1
RIVAL_PATIENCE_S = 1.0
"""How long the oldest of several networks of one name waits for the makers of the others to take theirs away."""
SETTLE_PATIENCE_S = 10.0
"""How long several of one name are borne before that is an error: their makers settle it among themselves."""
MAKE_TRIES = 5
MISCOUNT_PATIENCE_S = 5.0
"""How long an engine may call an empty network used: it forgets the endpoints of a removed container a moment later."""
_IN_USE = "active endpoints"


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
            for _ in range(MAKE_TRIES):
                if await self.settled(need.name):
                    return False
                if await self._make(need):
                    return True
        raise PrepareError(
            need.name,
            f"network {need.name}: others make it and take it away again at the same time",
            advice="Try again, or choose another --network.",
        )

    async def settled(self, name: str) -> bool:
        """True once exactly one network has this name, False where none has.

        Raises:
            PrepareError: several have it, and it stays so: every start on it would be refused as ambiguous.
            DriverUnavailable: the daemon cannot be reached.
        """
        give_up = anyio.current_time() + SETTLE_PATIENCE_S
        while len(same := await self._named(name)) > 1:
            if anyio.current_time() > give_up:
                raise _ambiguous(name, same)
            await anyio.sleep(LOOK_AGAIN_S)
        return bool(same)

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
        return await self._remove_all_unused(await self._in_scope(scope))

    async def remove_labelled(self, wanted: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Remove the networks with these labels that no container refers to. Returns and raises as `remove_empty`."""
        texts = [f"{key}={value}" for key, value in wanted.items()]
        return await self._remove_all_unused(
            [each for each in await self._list({"label": texts}) if _carries(each, texts)]
        )

    async def _remove_all_unused(self, networks: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
        removed: list[str] = []
        errors: list[str] = []
        for network in networks:
            try:
                if await self._remove_unused(network["Id"]):
                    removed.append(network["Name"])
            except (Refused, Unknown) as error:
                errors.append(_not_removed(network["Name"], error))
        return removed, errors

    async def remove_known(self, network_id: str, name: str) -> str:
        """Remove a network that was found to be ours, unless something refers to it; empty, or why it is still there.

        Raises:
            DriverUnavailable: the daemon cannot be reached.
        """
        try:
            if await self._remove_unused(network_id) or await self._is_gone(network_id):
                return ""
        except (Refused, Unknown) as error:
            return _not_removed(name, error)
        return f"network {name} is used by a container"

    async def _is_gone(self, network_id: str) -> bool:
        try:
            await self._api.read(f"networks/{network_id}")
        except Refused as refused:
            if refused.status == 404:
                return True
            raise
        return False

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
        body: dict[str, Any] = {"Name": need.name, "CheckDuplicate": True, "Driver": "bridge"}
        body["Labels"] = dict(need.labels)
        if need.private:
            body["Options"] = {"com.docker.network.bridge.enable_icc": "false"}
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
        return await self._keep(need.name, made)

    async def _keep(self, name: str, made: str) -> bool:
        """Whether what we made is the only one of its name; False where we took it away again.

        CheckDuplicate is only best effort: of two that are made at once the engine may take both. Each maker looks
        when its own is there, so of two makers at least the later one sees both, and nobody keeps one beside another.
        The younger goes at once. The oldest waits for that, and goes too if it was waited for in vain: the maker of
        the younger looked before ours was to be seen, and uses it.
        """
        give_up = anyio.current_time() + RIVAL_PATIENCE_S * random.uniform(1.0, 1.5)  # so that not all give up together
        while len(same := await self._named(name)) > 1:
            if same[0]["Id"] != made or anyio.current_time() > give_up:
                with contextlib.suppress(Refused, Unknown):  # one that somebody uses already: then it stays ambiguous
                    await self._remove(made)
                return False
            await anyio.sleep(LOOK_AGAIN_S)
        return [network["Id"] for network in same] == [made]

    async def _in_scope(self, scope: Scope) -> list[dict[str, Any]]:
        wanted = [f"{labels.OWNER}={scope.owner}"]
        if scope.shared_network is None and scope.run_id is not None:
            wanted.append(f"{labels.RUN}={scope.run_id}")
        if scope.shared_network is None and scope.wave is not None:
            wanted.append(f"{labels.WAVE}={scope.wave}")
        found = [network for network in await self._list({"label": wanted}) if _carries(network, wanted)]
        found = [network for network in found if labels.STACK not in (network.get("Labels") or {})]
        if scope.shared_network is not None:
            found = [network for network in found if network["Name"] == scope.shared_network]
        return found

    async def _is_empty(self, network_id: str) -> bool:
        """No container refers to it, running or not: one that is only created would fail to start without it."""
        filters = json.dumps({"network": [network_id]})
        if await self._api.read("containers/json", {"all": "1", "filters": filters, "limit": "1"}):
            return False
        ends = await self._ends(network_id)
        return all([await self._is_ghost(network_id, *end) for end in ends.items()])

    async def _ends(self, network_id: str) -> dict[str, str]:
        """What the engine counts as being on it: container id (or something like it) -> name."""
        try:
            network = await self._api.read(f"networks/{network_id}")
        except Refused as refused:
            if refused.status == 404:
                return {}
            raise
        return {key: str(end.get("Name", "")) for key, end in (network.get("Containers") or {}).items()}

    async def _is_ghost(self, network_id: str, container_id: str, name: str) -> bool:
        """Whether this is the end of a container that is not there any more; then the engine is told to forget it.

        A daemon that was restarted in the middle of a start or a removal remembers such ends (API 1.41), and refuses
        for ever to remove the network. Only called where no container of any kind refers to the network.
        """
        for reference in filter(None, (container_id, name)):
            if await inspect(self._api, reference) is not None:
                return False
        with contextlib.suppress(Refused, Unknown):  # then the removal is refused, and that is told
            body = {"Container": name or container_id, "Force": True}
            await self._api.change("POST", f"networks/{network_id}/disconnect", body=body)
        return True

    async def _remove_unused(self, network_id: str) -> bool:
        """Remove it unless something refers to it; False where something does, or someone else was faster.

        Raises:
            Refused: also where the engine counts endpoints on it that are not there.
        """
        give_up = anyio.current_time() + MISCOUNT_PATIENCE_S
        while await self._is_empty(network_id):
            try:
                return await self._remove(network_id)
            except Refused as refused:
                if _IN_USE not in refused.words or anyio.current_time() > give_up:
                    raise
            await anyio.sleep(LOOK_AGAIN_S)
        return False

    async def _remove(self, network_id: str) -> bool:
        """Remove it; False where someone else was faster."""
        try:
            await self._api.change("DELETE", f"networks/{network_id}")
        except Refused as refused:
            if refused.status == 404:
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


def _ambiguous(name: str, same: list[dict[str, Any]]) -> PrepareError:
    ids = ", ".join(network["Id"][:12] for network in same)
    return PrepareError(
        name,
        f"{len(same)} networks are called {name} ({ids}), and the engine refuses every start on an ambiguous name",
        advice="Remove those that are not used with `docker network rm ID`, or choose another --network.",
    )


def _not_removed(name: str, error: Refused | Unknown) -> str:
    if isinstance(error, Refused) and _IN_USE in error.words:
        return (
            f"network {name} is empty, and yet the engine keeps it, as it counts endpoints that are not there "
            f"({error.words}): restart the daemon when nothing needs it (`sudo systemctl restart docker`), "
            "then run `wavepool recover`"
        )
    return f"network {name}: {error.message}"
