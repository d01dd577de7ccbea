"""Development stacks: services that stay until somebody takes them down, on a network of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wavepool import labels
from wavepool.drivers.base import Removed
from wavepool.drivers.docker.networks.own import OwnNetworks
from wavepool.drivers.docker.networks.shared import Networks
from wavepool.drivers.docker.remains.removal import Remover
from wavepool.drivers.docker.sidecars.companions import Companions
from wavepool.drivers.docker.watching.sightings import container_name
from wavepool.drivers.stacks import PublishedPort, ServiceState, StackChange, StackSpec
from wavepool.errors import DriverUnavailable, Unknown

ROOM = 13
"""Containers that a stack's network has addresses for at least: services may be added later."""


class Stacks:
    """Brings stacks up, looks at them, takes them down; finds what is theirs by label."""

    def __init__(self, companions: Companions, own_networks: OwnNetworks, networks: Networks, remover: Remover) -> None:
        self._companions = companions
        self._own_networks = own_networks
        self._networks = networks
        self._remover = remover

    async def up(self, spec: StackSpec, grace_s: float, *, host_gateway: bool) -> StackChange:
        """See `SupportsStacks.stack_up`."""
        wanted = {service.sidecar.name: service.labels for service in spec.services}
        there = {_label(each, labels.SIDECAR): each for each in await self._containers(spec.owner, spec.name)}
        old = [each for name, each in there.items() if name not in wanted or not _agrees(each, wanted[name])]
        await self._companions.stop_all(old, grace_s)
        errors = (await self._remover.remove_containers(old)).errors
        if errors:
            raise Unknown("; ".join(errors))
        network_id = await self._own_networks.ensure(spec.network, max(ROOM, len(spec.services)))
        await self._companions.bring_up(spec.services, network_id, host_gateway=host_gateway, again=True)
        replaced = {_label(each, labels.SIDECAR) for each in old}
        kept = [name for name in wanted if name in there and name not in replaced]
        return StackChange(
            created=tuple(name for name in wanted if name not in there),
            recreated=tuple(name for name in wanted if name in replaced),
            started=tuple(name for name in kept if there[name].get("State") != "running"),
            kept=tuple(name for name in kept if there[name].get("State") == "running"),
            removed=tuple(sorted(replaced - wanted.keys())),
        )

    async def state(self, owner: str, name: str) -> tuple[ServiceState, ...]:
        """See `SupportsStacks.stack_state`."""
        try:
            records = [
                record
                for each in await self._containers(owner, name)
                if (record := await self._companions.record(each["Id"])) is not None
            ]
        except Unknown as error:
            raise DriverUnavailable(error.message) from error
        return tuple(sorted((_service(record) for record in records), key=lambda service: service.name))

    async def down(self, owner: str, name: str, grace_s: float) -> Removed:
        """See `SupportsStacks.stack_down`."""
        found = await self._containers(owner, name)
        errors: tuple[str, ...] = ()
        try:
            await self._companions.stop_all(found, grace_s)
        except Unknown as error:  # the removal kills it
            errors = (error.message,)
        removed = await self._remover.remove_containers(found)
        networks, left = await self._networks.remove_labelled({labels.OWNER: owner, labels.STACK: name})
        return Removed(
            containers=removed.containers,
            networks=tuple(networks),
            volumes=removed.volumes,
            errors=(*removed.errors, *left, *(errors if removed.errors else ())),
        )

    async def _containers(self, owner: str, name: str) -> list[dict[str, Any]]:
        return await self._companions.labelled({labels.OWNER: owner, labels.STACK: name, labels.ROLE: "stack"})


def _agrees(summary: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """True where it was made from this very spec, and of the image that its name stands for now."""
    return wanted.items() <= (summary.get("Labels") or {}).items()


def _label(summary: Mapping[str, Any], key: str) -> str:
    return str((summary.get("Labels") or {}).get(key, ""))


def _service(record: Mapping[str, Any]) -> ServiceState:
    found: Mapping[str, str] = record["Config"].get("Labels") or {}
    state: Mapping[str, Any] = record["State"]
    health = (state.get("Health") or {}).get("Status")
    return ServiceState(
        name=found.get(labels.SIDECAR, ""),
        container=container_name({"Names": [record["Name"]]}),
        image=str(record["Config"].get("Image", "")),
        state=str(state.get("Status", "")),
        health=str(health) if health and health != "none" else None,
        exit_code=int(state["ExitCode"]) if state.get("Status") == "exited" else None,
        ports=tuple(_ports(record)),
        spec_hash=found.get(labels.SPEC_HASH, ""),
    )


def _ports(record: Mapping[str, Any]) -> list[PublishedPort]:
    ports: Mapping[str, Any] = (record.get("NetworkSettings") or {}).get("Ports") or {}
    found = [
        PublishedPort(
            target=int(str(target).partition("/")[0]),
            protocol=str(target).partition("/")[2],
            address=str(binding.get("HostIp", "")),
            port=int(binding.get("HostPort") or 0),
        )
        for target, bindings in ports.items()
        for binding in bindings or []
    ]
    return sorted(found, key=lambda port: (port.target, port.protocol, port.address))
