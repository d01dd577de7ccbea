"""`wavepool stack`: the services of a Compose file as containers that stay, and where they are to be found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from wavepool import labels
from wavepool.drivers.base import Driver, Needs, OwnNetwork, PullProgress
from wavepool.drivers.stacks import PublishedPort, ServiceState, StackChange, StackSpec, SupportsStacks
from wavepool.engine.attempts.companions import CompanionBuilder, data_owner
from wavepool.errors import DriverUnavailable
from wavepool.model import Sidecar
from wavepool.statedir import StateDir

_EVERYWHERE = ("", "0.0.0.0", "::")
_LOOPBACK = ("127.", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One stack of one state directory.

    Attributes:
        name: its name; two of different names stand side by side.
        base: where relative paths of its file count from.
        services: what the file asks for; dependencies first.
        driver: open.
        state_dir: keeps its data and its lock.
        prefix, subnet_pool: as in the settings.
        grace_s: between SIGTERM and SIGKILL.
    """

    name: str
    base: Path
    services: Sequence[Sidecar]
    driver: Driver
    state_dir: StateDir
    prefix: str
    subnet_pool: str
    grace_s: float

    async def up(self, pull: str, progress: PullProgress | None = None) -> StackChange:
        """Make it as the file says, and wait until it is ready.

        Raises:
            NotStarted: a service is not ready; `sidecars` says which.
            InfrastructureError: an image, a directory or the engine; or another process changes it.
        """
        stacks = self._stacks()
        with self.state_dir.changing_stack(self.name):
            builder = self._builder()
            specs = builder.build(self.services)
            images = tuple(sorted({service.image for service in self.services}))
            prepared = await self.driver.prepare(Needs(images=images, pull=pull), progress)
            await anyio.to_thread.run_sync(builder.make_directories, specs)
            network = OwnNetwork(
                name=labels.task_network_name(builder.prefix),
                labels={labels.OWNER: self.state_dir.owner(), labels.SCOPE: "stack", labels.STACK: self.name},
                subnet_pool=self.subnet_pool,
            )
            ids = prepared.image_ids
            services = tuple(
                replace(each, labels={**each.labels, labels.IMAGE_ID: ids.get(each.sidecar.image, "")})
                for each in specs
            )
            spec = StackSpec(owner=self.state_dir.owner(), name=self.name, network=network, services=services)
            return await stacks.stack_up(spec, self.grace_s)

    async def state(self) -> list[dict[str, Any]]:
        """Each service, those of the file first: what it is, how it is, where it is. Raises DriverUnavailable."""
        found = {each.name: each for each in await self._stacks().stack_state(self.state_dir.owner(), self.name)}
        specs = {spec.sidecar.name: spec for spec in self._builder().build(self.services)}
        rows: list[dict[str, Any]] = []
        for name, spec in specs.items():
            service = found.pop(name, None)
            row = _missing(spec.sidecar) if service is None else _row(service, spec.sidecar)
            row["changed"] = service is not None and service.spec_hash != spec.spec_hash
            row["data"] = str(spec.data)
            rows.append(row)
        return rows + [{**_row(service, None), "changed": True, "data": None} for service in found.values()]

    async def down(self, *, volumes: bool) -> dict[str, Any]:
        """Remove containers and network, with `volumes` the data too. Raises DriverUnavailable, InfrastructureError."""
        with self.state_dir.changing_stack(self.name):
            removed = await self._stacks().stack_down(self.state_dir.owner(), self.name, self.grace_s)
            errors = list(removed.errors)
            if volumes and not errors:
                errors += await anyio.to_thread.run_sync(self.state_dir.drop_stack, self.name)
        return {
            "stack": self.name,
            "containers": list(removed.containers),
            "networks": list(removed.networks),
            "data_removed": volumes and not errors,
            "errors": errors,
        }

    def _stacks(self) -> SupportsStacks:
        if not isinstance(self.driver, SupportsStacks):
            raise DriverUnavailable(f"the {self.driver.name} driver keeps no stacks", advice="Stacks need Docker.")
        return self.driver

    def _builder(self) -> CompanionBuilder:
        owner = self.state_dir.owner()
        digest = hashlib.sha256(f"{owner}\0{self.name}".encode()).hexdigest()[:8]
        return CompanionBuilder(
            data=self.state_dir.stack_data(self.name),
            base=self.base,
            shares_base=True,
            owner=data_owner(self.base),
            labels={labels.OWNER: owner, labels.STACK: self.name, labels.ROLE: "stack"},
            prefix=f"{self.prefix}stack-{self.name}-{digest}",
        )


def _missing(sidecar: Sidecar) -> dict[str, Any]:
    return {"name": sidecar.name, "image": sidecar.image, "state": "missing", "ready": False, "ports": []}


def _row(service: ServiceState, sidecar: Sidecar | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": service.name,
        "image": service.image,
        "container": service.container,
        "state": service.state,
        "health": service.health,
        "ready": service.state == "running" and service.health in (None, "healthy"),
        "exit_code": service.exit_code,
        "ports": [_port(service.name, port) for port in service.ports],
    }
    named = _first_port(service, sidecar)
    first = next((port for port in row["ports"] if port["container_port"] == named), None)
    return {
        **row,
        "host": first["host"] if first else None,
        "port": first["port"] if first else None,
        "container_host": service.name,
        "container_port": named,
    }


def _first_port(service: ServiceState, sidecar: Sidecar | None) -> int | None:
    """The one that the file names first: a published one, as the host wants to know where that is."""
    if sidecar is not None and sidecar.ports:
        return sidecar.ports[0].target
    if sidecar is not None and sidecar.expose:
        return sidecar.expose[0]
    return service.ports[0].target if service.ports else None


def _port(name: str, port: PublishedPort) -> dict[str, Any]:
    """Where it is for the host, for the stack's own network, and for containers elsewhere (`outside`)."""
    everywhere = port.address in _EVERYWHERE
    outside = None if port.address.startswith(_LOOPBACK) else f"host.docker.internal:{port.port}"
    return {
        "host": "127.0.0.1" if everywhere else port.address,
        "port": port.port,
        "protocol": port.protocol,
        "container_host": name,
        "container_port": port.target,
        "outside": outside,
    }
