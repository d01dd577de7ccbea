"""Opening a container for many tasks: made, attached, its shell sealed and taught, and proved clean before the first.

Whatever cannot be proved at the start is refused then, with the reason: reuse without its proof would be a pretence.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import anyio.to_thread

from wavepool.drivers.base import AttemptSpec, Handle
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.parking.parker import default_user
from wavepool.drivers.docker.parking.script import is_settable
from wavepool.drivers.docker.reusing import shell
from wavepool.drivers.docker.reusing.container import DockerReusable, Parts
from wavepool.drivers.docker.reusing.ground import Ground
from wavepool.drivers.docker.reusing.hello import greet, last_state
from wavepool.drivers.docker.reusing.places import places_of
from wavepool.drivers.docker.reusing.runner import RUNNER_TARGET, Shells, make_place, put
from wavepool.drivers.docker.reusing.witness import Witness
from wavepool.drivers.docker.starting.delivery import give, write_prompt
from wavepool.drivers.docker.starting.spec import WORKSPACE_TARGET, bind, create_body, user_of
from wavepool.drivers.docker.starting.starter import Starter
from wavepool.drivers.docker.trouble import Refused, not_started
from wavepool.drivers.docker.watching.sightings import DRIVER_NAME
from wavepool.errors import CannotPark, DriverUnavailable, InputError, NotClaimed, NotStarted
from wavepool.model import Mount

OPEN_DEADLINE_S = 120.0


class _Image(NamedTuple):
    """An image's id, and what it would run by itself."""

    id: str
    argv: tuple[str, ...]


class Reuse:
    """Opens reusable containers of one engine.

    Args:
        is_remote: whether the engine is not on this host.
        knows_gateway: whether containers may know the host by name.
    """

    def __init__(
        self,
        api: DockerApi,
        starter: Starter,
        *,
        is_remote: Callable[[], Awaitable[bool]],
        knows_gateway: Callable[[], Awaitable[bool]],
    ) -> None:
        self._api = api
        self._starter = starter
        self._is_remote = is_remote
        self._knows_gateway = knows_gateway
        self._shells = Shells(api)

    async def open(self, spec: AttemptSpec) -> DockerReusable:
        """See `SupportsReuse.open_reusable`."""
        spec = checked(spec)
        give_up = time.monotonic() + OPEN_DEADLINE_S
        if await self._is_remote():
            raise CannotPark(f"reuse must see its containers from outside, and {self._api.address} is another host")
        try:
            image = await self._image(spec)
            place = await anyio.to_thread.run_sync(_furnish, spec)
            gateway = await self._knows_gateway()
            body = reusable_body(spec, runner=place, socket=self._api.socket, host_gateway=gateway)
            found = await self._starter.obtain(spec, body, give_up)
            if not found.is_new:
                raise NotStarted(f"{spec.name} exists already: a reused container is opened once")
            await anyio.to_thread.run_sync(put, place, await self._shells.of(image.id, found.id))
            return await self._start(spec, found.id, image, give_up)
        except Refused as refused:
            raise not_started(refused, name=spec.name, image=spec.image, network=spec.network) from refused
        except OSError as error:
            raise NotStarted(f"{spec.name}: its slot cannot be written: {error}", transient=True) from error

    async def _image(self, spec: AttemptSpec) -> _Image:
        """What its image is. Raises CannotPark, Refused, DriverUnavailable."""
        found = await self._api.read(f"images/{spec.image}/json")
        config = found.get("Config") or {}
        if config.get("Volumes"):
            names = ", ".join(sorted(config["Volumes"]))
            raise CannotPark(f"{spec.image} has volumes of its own ({names}), which cannot be wiped between two tasks")
        return _Image(str(found["Id"]), (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())))

    async def _start(self, spec: AttemptSpec, container_id: str, image: _Image, give_up: float) -> DockerReusable:
        attachment = await self._api.attach(container_id, output=True)
        witness: Witness | None = None
        try:
            await self._launch(spec, container_id, give_up)
            await greet(self._api, spec, container_id, attachment)
            pid, variables = await self._look(spec, container_id, image)
            try:
                witness = Witness(container_id, pid)
                parts = Parts(
                    spec=spec,
                    handle=Handle(driver=DRIVER_NAME, id=container_id, name=spec.name, attempt=spec.attempt),
                    attachment=attachment,
                    witness=witness,
                    ground=Ground(spec.workspace) if _has_own_workspace(spec) else None,
                    image_argv=image.argv,
                    variables=variables,
                )
                return await _teach(DockerReusable(self._api, parts), parts)
            except CannotPark as error:
                await self._see_it_runs(spec, container_id, error)
                raise
        except BaseException:
            attachment.close()
            if witness is not None:
                witness.close()
            raise

    async def _see_it_runs(self, spec: AttemptSpec, container_id: str, error: CannotPark) -> None:
        """Raise NotStarted where the container that something is said against had ended: that says nothing."""
        state = await last_state(self._api, container_id)
        if state is None or not state["Running"]:
            raise NotStarted(f"{spec.name} ended at its start: {error.message}", transient=True) from error

    async def _launch(self, spec: AttemptSpec, container_id: str, give_up: float) -> None:
        """Start it. Raises CannotPark where its shell cannot be executed, and as `Starter.launch`."""
        try:
            await self._starter.launch(spec, container_id, give_up)
        except NotStarted as error:
            if error.program_exit_code is not None:
                raise CannotPark(
                    f"{spec.name}: a copy of its image's shell cannot be run: {error.message}",
                    advice=f"See that {spec.slot} is on no file system that is mounted with noexec.",
                ) from error
            raise

    async def _look(self, spec: AttemptSpec, container_id: str, image: _Image) -> tuple[int, dict[str, str]]:
        """Its shell's process on this host, and all its variables. Raises NotStarted, CannotPark."""
        found = await inspect(self._api, container_id)
        if found is None or not found["State"]["Pid"]:
            raise NotStarted(f"{spec.name} ended at its start", transient=True)
        if found["Image"] != image.id:
            raise NotStarted(f"{spec.image} became another image while it was started", transient=True)
        variables = dict(each.partition("=")[::2] for each in found["Config"].get("Env") or [])
        lost = sorted(name for name in variables if not is_settable(name))
        if lost:
            raise CannotPark(f"{spec.name}: the variable {lost[0]!r} would not come through a shell")
        return int(found["State"]["Pid"]), variables


def checked(spec: AttemptSpec) -> AttemptSpec:
    """The spec with its user settled. Raises InputError for what reuse could not keep its promise for."""
    if not spec.read_only:
        raise InputError(
            f"{spec.name}: containers are reused with a read-only root only: else a task could leave changes anywhere",
            advice="Set readOnlyRootFs to true, or use a pool without reuse.",
        )
    if not spec.late or spec.secrets or spec.command is not None or spec.commands or spec.sidecars:
        raise InputError(
            f"{spec.name}: what a reused container runs is told later, and it takes no secrets or sidecars"
        )
    user = spec.user
    if user is None:
        user = default_user() if _has_own_workspace(spec) else user_of(spec)
    if user.partition(":")[0] in ("0", "root"):
        raise InputError(
            f"{spec.name}: containers are reused by a user other than root only: root could change what is not wiped",
            advice="Give user as uid:gid.",
        )
    return replace(spec, user=user)


def reusable_body(spec: AttemptSpec, *, runner: Path, socket: str, host_gateway: bool) -> dict[str, Any]:
    """The body of its create call: that of an attempt, with the sealed shell as process 1, attached in full.

    Args:
        runner: host file that the shell will be.
        socket: the daemon's own socket; empty where it is not on this host.
        host_gateway: it may know the host by name.

    Raises:
        NotStarted: a mount that is never allowed, or a workspace that is not there.
    """
    prompt_dir = spec.slot / "prompt"
    body = create_body(spec, prompt_dir=prompt_dir, secrets_dir=None, socket=socket, host_gateway=host_gateway)
    body |= {
        "Entrypoint": [f"{RUNNER_TARGET}/sh"],
        "Cmd": [],
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
    }
    config = body["HostConfig"]
    config |= {
        "Init": False,  # its shell is that: no signal from inside reaches process 1
        "IpcMode": "private",
        "LogConfig": {"Type": "none"},
    }
    config["Mounts"].append(bind(Mount(source=str(runner), target=f"{RUNNER_TARGET}/sh")))
    return body


def _has_own_workspace(spec: AttemptSpec) -> bool:
    """Else it is a directory that others share, and what tasks leave there stays."""
    return spec.workspace == spec.slot / "work"


def _furnish(spec: AttemptSpec) -> Path:
    """Make what is mounted out of the slot; the place of the runner. Blocks. Raises OSError."""
    if _has_own_workspace(spec):
        spec.workspace.mkdir(exist_ok=True)
        give(spec.workspace, user_of(spec), private=0o700, public=0o777)
    write_prompt(spec.slot, spec.prompt)
    return make_place(spec.slot)


async def _teach(container: DockerReusable, parts: Parts) -> DockerReusable:
    """Tell the shell how to wipe, and have it prove that it can. Raises CannotPark, NotStarted, Unknown."""
    spec, witness = parts.spec, parts.witness
    shared = {mount.target for mount in spec.mounts if not mount.read_only}
    if not _has_own_workspace(spec):
        shared.add(WORKSPACE_TARGET)
    try:
        if not witness.is_sealed():
            raise CannotPark(f"{spec.name}: its tasks could read and change the shell that runs them")
        try:
            places = places_of(witness.mounts(), work=WORKSPACE_TARGET, shared=shared)
        except ValueError as error:
            raise CannotPark(f"{spec.name} cannot be reused: {error}") from error
        parts.attachment.write(shell.lessons(places))
        witness.note()
        problem = await container.prove(places)
    except (OSError, NotClaimed, DriverUnavailable) as error:
        raise NotStarted(f"{spec.name} ended at its start: {error}", transient=True) from error
    if problem:
        raise CannotPark(f"{spec.name} cannot be reused: {problem}")
    return container
