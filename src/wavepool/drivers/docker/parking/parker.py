"""Parking: a container is started with its image's shell, which waits on the connection that this process holds.

What the task will find in it is all there before: limits, mounts, network, user. Its stdin is open for one connection
(StdinOnce), attached before the start, so that the shell reads the end of it wherever this process dies.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import anyio
import anyio.to_thread

from wavepool import labels
from wavepool.drivers.base import AttemptSpec, Handle, Scope
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.attachment import Attachment
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.parking.claim_mark import DIRECTORY, claimed_at, is_laid_out, lay_out
from wavepool.drivers.docker.parking.script import SHELL, SLOT_TARGET, is_settable
from wavepool.drivers.docker.starting.delivery import give, user_ids
from wavepool.drivers.docker.starting.guard import guarded, has_shell
from wavepool.drivers.docker.starting.spec import SECRETS_TARGET, bind, own_labels, user_of
from wavepool.drivers.docker.starting.starter import Found, Starter
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.sightings import DRIVER_NAME, in_scope
from wavepool.errors import CannotPark, DriverUnavailable, NotStarted, Unknown
from wavepool.model import Mount

PARK_DEADLINE_S = 120.0
SECRETS_MAX_BYTES = 8 << 20
"""Of the tmpfs that a late container has for secrets; what is in it counts as the container's memory."""
UNPRIVILEGED_USER = "1000:1000"
"""Whom a late container runs as where we are root and nobody said whom."""


@dataclass(slots=True, eq=False, kw_only=True)
class Held:
    """A parked container whose connection is ours.

    Attributes:
        image_argv: what the image would run by itself; empty where it says nothing.
        variables: that the container was made with, the image's among them.
        taken: it was told what to run, or never will be.
    """

    id: str
    spec: AttemptSpec
    attachment: Attachment
    image_argv: tuple[str, ...]
    variables: Mapping[str, str]
    taken: bool = False

    @property
    def waits(self) -> bool:
        return not self.taken and self.attachment.is_open

    @property
    def argv(self) -> tuple[str, ...]:
        """What a bound one will run."""
        if self.spec.commands:
            return tuple(guarded(self.spec.commands))
        return self.image_argv if self.spec.command is None else self.spec.command


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    has_shell: bool
    argv: tuple[str, ...]


class Parker:
    """Parks, and holds what is parked.

    Args:
        make_body: puts prompt and secrets in place, and makes the body of the create call; raises as a start.
        clear: takes away a container of the attempt once it is proven that nothing ran in it; False where it did. It is
            told whether the slot has evidence of an earlier container.
    """

    def __init__(
        self,
        api: DockerApi,
        starter: Starter,
        make_body: Callable[[AttemptSpec], Awaitable[dict[str, Any]]],
        clear: Callable[[AttemptSpec, Found, bool], Awaitable[bool]],
    ) -> None:
        self._api = api
        self._starter = starter
        self._make_body = make_body
        self._clear = clear
        self._held: dict[str, Held] = {}
        self._images: dict[str, _Image] = {}

    async def park(self, spec: AttemptSpec) -> Handle:
        """See `SupportsParking.park`; the engine is known to be this host's."""
        check_parkable(spec)
        give_up = time.monotonic() + PARK_DEADLINE_S
        spec, container_id = await self._obtain(spec, give_up)
        try:
            image, variables = await self._examine(spec, container_id)
            attachment = await self._attach(spec, container_id)
            try:
                await self._launch(spec, container_id, give_up)
            except BaseException:
                attachment.close()
                raise
        except CannotPark:
            await self._clear(spec, Found(id=container_id, was_started=False, parked=True), True)
            raise
        self.release(spec.name)  # of an earlier one, which is gone
        self._held[spec.name] = Held(
            id=container_id, spec=spec, attachment=attachment, image_argv=image.argv, variables=variables
        )
        return Handle(driver=DRIVER_NAME, id=container_id, name=spec.name, attempt=spec.attempt)

    def held(self, name: str, container_id: str = "") -> Held | None:
        """The container of this name (and id), while we hold its connection and it was told nothing."""
        found = self._held.get(name)
        return found if found is not None and found.waits and container_id in ("", found.id) else None

    def release(self, name: str) -> None:
        """Close its connection, where there is one, and forget it."""
        held = self._held.pop(name, None)
        if held is not None:
            held.taken = True
            held.attachment.close()

    def release_all(self, scope: Scope) -> None:
        """As `release`, of all in `scope`; a shared network has none."""
        if scope.shared_network is None:
            for name in [name for name, held in self._held.items() if in_scope(own_labels(held.spec), scope)]:
                self.release(name)

    def close(self) -> None:
        """Let go of all of them: the unclaimed ones end."""
        for name in list(self._held):
            self.release(name)

    async def _obtain(self, spec: AttemptSpec, give_up: float) -> tuple[AttemptSpec, str]:
        """Make the container; the spec with its user settled, and its id.

        One that an earlier call or process left goes first: it can be claimed by nobody any more. Raises as `park`.
        """
        while True:
            has_evidence = is_laid_out(spec.slot)
            # Ours would look like that of an earlier container: where there is one without, there must never be any.
            found = None if has_evidence else await self._starter.find(spec)
            if found is None:
                spec = await anyio.to_thread.run_sync(_prepare, spec)
                body = parked_body(spec, await self._make_body(spec))
                found = await self._starter.obtain(spec, body, give_up)
            if found.is_new:
                return spec, found.id
            if found.was_started or not found.parked or not await self._clear(spec, found, has_evidence):
                raise NotStarted(f"{spec.name} cannot be parked: it runs, or ran, already")

    async def _examine(self, spec: AttemptSpec, container_id: str) -> tuple[_Image, Mapping[str, str]]:
        """What its image has, and all its variables. Raises CannotPark where that cannot be parked."""
        try:
            found = await inspect(self._api, container_id)
        except (Refused, DriverUnavailable) as error:
            raise Unknown(f"{spec.name}: {error.message}") from error
        if found is None:
            raise NotStarted(f"{spec.name} was removed while it was being parked", transient=True)
        image = await self._image(spec, container_id, str(found["Image"]))
        variables = dict(each.partition("=")[::2] for each in found["Config"].get("Env") or [])
        problem = _problem(spec, image, variables)
        if problem:
            raise CannotPark(f"{spec.name}: {problem}")
        return image, variables

    async def _image(self, spec: AttemptSpec, container_id: str, image_id: str) -> _Image:
        known = self._images.get(image_id)
        if known is None:
            shell = await has_shell(self._api, spec, container_id)
            try:
                config = (await self._api.read(f"images/{image_id}/json")).get("Config") or {}
            except (Refused, DriverUnavailable) as error:
                raise Unknown(f"{spec.name}: {error.message}") from error
            argv = (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))
            known = self._images[image_id] = _Image(has_shell=shell, argv=argv)
        return known

    async def _attach(self, spec: AttemptSpec, container_id: str) -> Attachment:
        try:
            return await self._api.attach(container_id)
        except Refused as refused:
            raise NotStarted(f"{spec.name} cannot be parked: {refused.words}", transient=True) from refused
        except DriverUnavailable as error:
            raise Unknown(f"{spec.name}: {error.message}", advice=error.advice) from error

    async def _launch(self, spec: AttemptSpec, container_id: str, give_up: float) -> None:
        try:
            await self._starter.launch(spec, container_id, give_up)
        except NotStarted as error:
            if error.program_exit_code is not None:
                raise CannotPark(f"{spec.name}: the shell of {spec.image} cannot be run: {error.message}") from error
            raise


def check_parkable(spec: AttemptSpec) -> None:
    """Raise CannotPark for what cannot be parked whatever the image."""
    if spec.sidecars:
        raise CannotPark(f"{spec.name}: its sidecars start with it and not before")
    if spec.late and (spec.command is not None or spec.commands or spec.prompt or spec.secrets):
        raise CannotPark(f"{spec.name}: what a late container runs is told at its claim")


def parked_body(spec: AttemptSpec, body: dict[str, Any]) -> dict[str, Any]:
    """The create call of a cold start, changed as little as parking needs."""
    config = dict(body["HostConfig"])
    mark = Mount(source=str(spec.slot / DIRECTORY), target=SLOT_TARGET, read_only=False)
    config["Mounts"] = [*config["Mounts"], bind(mark)]
    if spec.late:
        config["Tmpfs"] = {**config.get("Tmpfs", {}), SECRETS_TARGET: _secrets_options(user_of(spec))}
    kind = "late" if spec.late else "bound"
    changed = {
        **body,
        "Entrypoint": [SHELL],
        "AttachStdin": True,
        "OpenStdin": True,
        "StdinOnce": True,
        "Labels": {**body["Labels"], labels.PARKED: kind, labels.SLOT: str(spec.slot)},
        "HostConfig": config,
    }
    changed.pop("Cmd", None)
    return changed


def _prepare(spec: AttemptSpec) -> AttemptSpec:
    """Make the directories that its mounts need, and settle its user. Raises CannotPark, NotStarted."""
    try:
        if spec.late and spec.workspace == spec.slot / "work":
            spec = replace(spec, user=spec.user or default_user())
            spec.workspace.mkdir(exist_ok=True)
            give(spec.workspace, user_of(spec), private=0o700, public=0o777)
        user = user_of(spec)
        if spec.late and spec.user is None and user.partition(":")[0] == "0":
            user = default_user()
        if claimed_at(spec.slot) is not None:
            raise NotStarted(f"{spec.name} cannot be parked: it runs, or ran, already")
        lay_out(spec.slot, user)
    except OSError as error:
        raise NotStarted(f"{spec.name}: its slot cannot be written: {error}", transient=True) from error
    return replace(spec, user=user)


def default_user() -> str:
    """Whom a late container runs as that has no shared workspace, and where nobody said whom."""
    return UNPRIVILEGED_USER if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"


def _secrets_options(user: str) -> str:
    """Of the tmpfs: its user's alone, where its number is known; inside there is nobody else."""
    ids = user_ids(user)
    whose = f"uid={ids[0]},gid={ids[1]},mode=0700" if ids else "mode=0777"
    return f"rw,noexec,nosuid,nodev,size={SECRETS_MAX_BYTES},{whose}"


def _problem(spec: AttemptSpec, image: _Image, variables: Mapping[str, str]) -> str:
    """Why a container of this image cannot be parked, or an empty text."""
    if not image.has_shell:
        return f"image {spec.image} has no {SHELL}"
    lost = sorted(name for name in variables if not is_settable(name))
    if lost:
        return f"the variable {lost[0]!r} would not come through a shell"
    if not spec.late and not spec.commands and spec.command is None and not image.argv:
        return f"image {spec.image} has neither entrypoint nor command"
    return ""
