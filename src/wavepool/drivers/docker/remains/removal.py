"""Stopping and removing containers, and counting what went with them."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread

from wavepool import labels
from wavepool.drivers.base import Handle, Removed, Scope
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import inspect, list_containers
from wavepool.drivers.docker.networks.shared import Networks
from wavepool.drivers.docker.sidecars.companions import Companions
from wavepool.drivers.docker.starting.delivery import SecretStore
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.sightings import OwnActs, container_name
from wavepool.errors import DriverUnavailable, Unknown

AT_ONCE = 10
"""Removals under way together; the daemon serialises most of the work anyway."""
REMOVE_DEADLINE_S = 60.0
STOP_MARGIN_S = 30.0
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_BUSY_ADVICE = (
    "something still uses it (see `lsof` and `docker ps`); wait and repeat, or `sudo systemctl restart docker`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One container to remove. `volumes` counts its anonymous volumes; `role` is empty for an attempt."""

    id: str
    name: str
    volumes: int
    role: str = ""


class Remover:
    """Ends and removes. Never touches what does not carry our labels."""

    def __init__(
        self, api: DockerApi, own: OwnActs, networks: Networks, secrets: SecretStore, companions: Companions
    ) -> None:
        self._api = api
        self._own = own
        self._networks = networks
        self._secrets = secrets
        self._companions = companions

    async def stop(self, handle: Handle, grace_s: float) -> None:
        """SIGTERM, SIGKILL after `grace_s` (whole seconds, rounded up); returns when it has ended, or never started.

        Raises:
            Unknown: it could not be made sure.
            DriverUnavailable: the daemon cannot be reached.
        """
        found = await self._find(handle)
        if found is None or not found["State"]["Running"]:
            return
        container_id = str(found["Id"])
        self._own.note_stop(container_id)
        grace = math.ceil(max(0.0, grace_s))
        cut: Unknown | None = None
        try:
            await self._api.change(
                "POST", f"containers/{container_id}/stop", {"t": str(grace)}, deadline_s=grace + STOP_MARGIN_S
            )
        except Refused as refused:
            if refused.status == 404:
                return
            await self._kill(handle, container_id, refused)
        except Unknown as error:
            cut = error
        found = await self._find(handle)
        if found is not None and found["State"]["Running"]:
            raise cut or Unknown(f"{handle.name} was stopped, and yet it runs")

    async def remove(self, target: Scope | Handle) -> Removed:
        """See `Driver.remove`. Raises DriverUnavailable."""
        if isinstance(target, Handle):
            return await self._remove_attempt(target)
        removed = Removed() if target.shared_network is not None else await self._remove_containers(target)
        networks, errors = await self._networks.remove_empty(target)
        return Removed(
            containers=removed.containers,
            networks=tuple(networks),
            volumes=removed.volumes,
            errors=(*removed.errors, *errors),
        )

    async def remove_known(self, target: Target) -> str:
        """Remove a container that was found to be ours, whatever its role; an empty text, or why it is still there."""
        return await self._remove_one(target)

    async def _kill(self, handle: Handle, container_id: str, cause: Refused) -> None:
        """The stop was refused (a task that cannot be signalled, a busy daemon): kill is all that is left."""
        try:
            await self._api.change("POST", f"containers/{container_id}/kill", {"signal": "KILL"})
        except Refused as refused:
            if refused.status not in (404, 409):  # gone, or not running
                raise Unknown(f"{handle.name} could not be stopped: {cause.words}; {refused.words}") from refused

    async def _find(self, handle: Handle) -> dict[str, Any] | None:
        """The container of a handle, by id or (where its start was cut off) by name; None where it is not ours."""
        try:
            found = await inspect(self._api, handle.id or handle.name)
        except Refused as refused:
            raise Unknown(f"{handle.name}: {refused.message}") from refused
        return found if found is not None and _is_of(handle, found["Config"].get("Labels") or {}) else None

    async def _remove_attempt(self, handle: Handle) -> Removed:
        try:
            found = await self._find(handle)
        except Unknown as error:
            return Removed(errors=(error.message,))
        if found is None:  # what was beside it may be there all the same
            problem = await self._discard_secrets(handle.name)
            beside = await self._remove_beside(handle)
            return _sum(Removed(errors=(problem,) if problem else ()), beside)
        target = Target(id=found["Id"], name=handle.name, volumes=_anonymous_volumes(found.get("Mounts")))
        problem = await self._remove_one(target)
        if problem:
            return Removed(errors=(problem,))
        removed = Removed(containers=(target.name,), volumes=target.volumes)
        if labels.SIDECARS not in (found["Config"].get("Labels") or {}):
            return removed
        return _sum(removed, await self._remove_beside(handle))

    async def _remove_beside(self, handle: Handle) -> Removed:
        """Remove an attempt's sidecars, then its own network. Raises DriverUnavailable."""
        removed = await self._remove_each([_target(each) for each in await self._companions.beside(handle.name)])
        networks, errors = await self._networks.remove_labelled({labels.BESIDE: handle.name, labels.SCOPE: "task"})
        return _sum(removed, Removed(networks=tuple(networks), errors=tuple(errors)))

    async def _remove_containers(self, scope: Scope) -> Removed:
        try:
            summaries = await list_containers(self._api, scope)
        except Refused as refused:
            raise DriverUnavailable(f"the containers cannot be listed: {refused.words}") from refused
        targets = [_target(each) for each in summaries]
        # Attempts first: one whose database goes before it would have a last word about that.
        attempts = await self._remove_each([each for each in targets if not each.role])
        return _sum(attempts, await self._remove_each([each for each in targets if each.role]))

    async def remove_containers(self, summaries: Sequence[Mapping[str, Any]]) -> Removed:
        """Remove the containers of these summaries, whatever their state. Raises DriverUnavailable."""
        return await self._remove_each([_target(each) for each in summaries])

    async def _remove_each(self, targets: Sequence[Target]) -> Removed:
        problems: dict[str, str] = {}
        limit = anyio.Semaphore(AT_ONCE)

        async def remove_in_turn(target: Target) -> None:
            async with limit:
                problem = await self._remove_one(target)
            if problem:
                problems[target.id] = problem

        async with anyio.create_task_group() as group:
            for target in targets:
                group.start_soon(remove_in_turn, target)
        gone = [target for target in targets if target.id not in problems]
        return Removed(
            containers=tuple(target.name for target in gone),
            volumes=sum(target.volumes for target in gone),
            errors=tuple(problems.values()),
        )

    async def _remove_one(self, target: Target) -> str:
        """Remove one container, its anonymous volumes and its secrets; an empty text, or why it is still there."""
        self._own.note_remove(target.id)
        give_up = time.monotonic() + REMOVE_DEADLINE_S
        delay_s = 0.05
        while True:
            try:
                await self._api.change("DELETE", f"containers/{target.id}", {"force": "1", "v": "1"})
                break
            except (Refused, Unknown, DriverUnavailable) as error:
                if isinstance(error, Refused) and error.status == 404:
                    break
                if isinstance(error, DriverUnavailable) or time.monotonic() > give_up:
                    return _still_there(target, error)
            await anyio.sleep(delay_s)  # being removed by another, or its file system is busy for a moment
            delay_s = min(delay_s * 2, 2.0)
        return await self._discard_secrets(target.name)

    async def _discard_secrets(self, name: str) -> str:
        try:
            await anyio.to_thread.run_sync(self._secrets.discard, name)
        except OSError as error:
            return f"the secrets of {name} are still there: {error}"
        return ""


def _is_of(handle: Handle, found: Mapping[str, str]) -> bool:
    return (
        labels.OWNER in found
        and found.get(labels.TASK) == handle.attempt.task_id
        and found.get(labels.ATTEMPT) == str(handle.attempt.number)
    )


def _target(summary: Mapping[str, Any]) -> Target:
    return Target(
        id=summary["Id"],
        name=container_name(summary),
        volumes=_anonymous_volumes(summary.get("Mounts")),
        role=(summary.get("Labels") or {}).get(labels.ROLE, ""),
    )


def _sum(one: Removed, other: Removed) -> Removed:
    return Removed(
        containers=(*one.containers, *other.containers),
        networks=(*one.networks, *other.networks),
        volumes=one.volumes + other.volumes,
        errors=(*one.errors, *other.errors),
    )


def _anonymous_volumes(mounts: list[dict[str, Any]] | None) -> int:
    """How many volumes go with the container: those that nobody gave a name."""
    return sum(
        each.get("Type") == "volume" and bool(_ANONYMOUS.fullmatch(str(each.get("Name")))) for each in mounts or []
    )


def _still_there(target: Target, error: Refused | Unknown | DriverUnavailable) -> str:
    words = error.words if isinstance(error, Refused) else error.message
    busy = f": {_BUSY_ADVICE}" if "busy" in words.lower() or "in progress" in words.lower() else ""
    return f"container {target.name or target.id[:12]} is still there: {words}{busy}"
