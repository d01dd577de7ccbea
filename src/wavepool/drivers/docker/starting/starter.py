"""Starting one attempt at most once, whatever is cut off on the way.

The name is derived, so a create that is sent twice clashes. A clash may come together with "no such container": the
first one is still being made, or being removed. A container is started only while its StartedAt is zero.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread

from wavepool import labels
from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.networks.shared import Networks
from wavepool.drivers.docker.parking.claim_mark import claimed_at
from wavepool.drivers.docker.starting.guard import check_shell
from wavepool.drivers.docker.starting.wrecks import clear_unborn
from wavepool.drivers.docker.trouble import Refused, is_wreck, not_started
from wavepool.drivers.docker.watching.lifetime import was_restarted_since
from wavepool.drivers.docker.watching.verdict import read_final
from wavepool.drivers.start_mark import make_mark, vanished
from wavepool.errors import DriverUnavailable, MayHaveRun, NotStarted, PrepareError, Unknown, WavepoolError

LOOK_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A container of the attempt.

    `was_started`: its task may run or have run. `parked`: it was started ahead; then its start mark says so.
    `is_new`: this very call made it.
    """

    id: str
    was_started: bool
    is_new: bool = False
    parked: bool = False


class Starter:
    """Creates, adopts and starts containers. `deadline_s` bounds one whole start."""

    def __init__(self, api: DockerApi, networks: Networks, *, deadline_s: float) -> None:
        self._api = api
        self._networks = networks
        self._deadline_s = deadline_s
        self._cut: set[str] = set()  # containers whose start was cut off: what a second one is refused for may be that

    async def start(self, spec: AttemptSpec, body: dict[str, Any]) -> str:
        """The id of the container that runs this attempt, or has run it.

        Raises:
            NotStarted: the daemon refused, or the name belongs to something else.
            MayHaveRun: an earlier container of this attempt was started, and is gone.
            Unknown: cut off.
            DriverUnavailable: the daemon cannot be reached.
        """
        give_up = time.monotonic() + self._deadline_s
        found = await self.obtain(spec, body, give_up)
        if not found.was_started:
            if found.parked:
                raise NotStarted(f"{spec.name} was parked by another process meanwhile", transient=True)
            if spec.commands:
                await check_shell(self._api, spec, found.id)
            await self._join(spec, found.id)
            if await self._is_mine_to_start(spec, found):
                await self.launch(spec, found.id, give_up)
        return found.id

    async def find(self, spec: AttemptSpec) -> Found | None:
        """What exists under the name, or None; changes nothing. Raises as `start`."""
        try:
            found = await inspect(self._api, spec.name)
        except Refused as refused:
            raise Unknown(f"{spec.name}: {refused.message}") from refused
        if found is None or found["State"]["Status"] in ("removing", "dead"):
            return None
        _check_ours(spec, found)
        parked = labels.PARKED in (found["Config"].get("Labels") or {})
        began = claimed_at(spec.slot) if parked else read_final(found["State"]).started_at
        return Found(id=str(found["Id"]), was_started=began is not None, parked=parked)

    async def obtain(self, spec: AttemptSpec, body: dict[str, Any], give_up: float) -> Found:
        """Create the container, or find the one of this very attempt. Raises as `start`."""
        cut: Unknown | None = None
        while True:
            try:
                reply = await self._api.change("POST", "containers/create", {"name": spec.name}, body)
                return Found(id=str(reply["Id"]), was_started=False, is_new=True)
            except Unknown as error:
                cut = error  # a second create clashes with the first, if that was heard
            except Refused as refused:
                if refused.status != 409:
                    raise await self._why_not(spec, "", refused) from refused
            except DriverUnavailable as error:
                if cut is None:
                    raise  # nothing was asked of it
                raise cut from error
            try:
                found = await self.find(spec)
            except DriverUnavailable as error:
                raise _in_between(spec, error) from error
            if found is not None:
                return found
            if time.monotonic() > give_up:
                raise cut or Unknown(f"{spec.name}: its name is taken, yet nothing of that name is there")
            await anyio.sleep(LOOK_AGAIN_S)

    async def _join(self, spec: AttemptSpec, container_id: str) -> None:
        """One with a network of its own is made on that; here it joins the run's too. Safe to repeat."""
        if spec.own_network is None or spec.network is None:
            return
        body = {"Container": container_id}
        try:
            try:
                await self._api.change("POST", f"networks/{spec.network}/connect", body=body)
            except Refused as refused:
                if not await self._network_is_back(spec, refused):
                    raise
                await self._api.change("POST", f"networks/{spec.network}/connect", body=body)
        except Refused as refused:
            if "already exists in network" not in refused.words:
                raise _refused(spec, refused) from refused
        except DriverUnavailable as error:
            raise _in_between(spec, error) from error

    async def _is_mine_to_start(self, spec: AttemptSpec, found: Found) -> bool:
        """Say in the slot that the start comes next: as late as can be, as what is marked and gone is lost.

        False where another driver, which found the container that this call made, was faster.
        """
        try:
            first = await anyio.to_thread.run_sync(make_mark, spec.slot)
        except OSError as error:
            raise NotStarted(f"{spec.name}: its slot cannot be written: {error}", transient=True) from error
        if first or not found.is_new:
            return True
        now = await self._look(spec)
        if now is None or now["Id"] != found.id:
            raise vanished(spec)  # the mark is that of another container, removed since we looked
        return read_final(now["State"]).started_at is None

    async def launch(self, spec: AttemptSpec, container_id: str, give_up: float) -> None:
        """Start a container that was never started. Raises as `start`."""
        try:
            try:
                await self._api.change("POST", f"containers/{container_id}/start")
            except Refused as refused:
                if not await self._network_is_back(spec, refused):
                    raise
                await self._api.change("POST", f"containers/{container_id}/start")
        except Refused as refused:
            if not await self._has_started(spec):
                raise await self._why_not(spec, container_id, refused) from refused
        except Unknown as cut:
            self._cut.add(container_id)
            await self._settle(spec, container_id, cut, give_up)
        except DriverUnavailable as error:
            raise _in_between(spec, error) from error
        self._cut.discard(container_id)

    async def _why_not(self, spec: AttemptSpec, container_id: str, refused: Refused) -> WavepoolError:
        """What the refusal of a start means."""
        if not await self._api.takes_calls():  # it stops, and refuses what it would do as soon as it is back
            return Unknown(f"{spec.name}: the Docker daemon stops: {refused.words}")
        error = _refused(spec, refused)
        if not is_wreck(refused.words) and (container_id not in self._cut or error.program_exit_code is not None):
            return error
        self._cut.discard(container_id)
        if clear_unborn(container_id):
            return NotStarted(f"{spec.name}: its start was cut in two by a restart of the daemon", transient=True)
        return MayHaveRun(f"{spec.name}: its start was cut in two by a restart of the daemon, and it may have run")

    async def _network_is_back(self, spec: AttemptSpec, refused: Refused) -> bool:
        """True where the refusal was about its network, and that is mended: it vanished, or others made it too."""
        words = refused.words.lower()
        try:
            if spec.network is not None and "is ambiguous" in words:
                return await self._networks.settled(spec.network)
            if refused.status == 404 and "network" in words:
                return await self._networks.restore(spec.network)
        except PrepareError as error:
            raise NotStarted(f"{spec.name}: {error.message}", transient=True, advice=error.advice) from error
        return False

    async def _has_started(self, spec: AttemptSpec) -> bool:
        found = await self._look(spec)
        return found is not None and read_final(found["State"]).started_at is not None

    async def _settle(self, spec: AttemptSpec, container_id: str, cut: Unknown, give_up: float) -> None:
        """After a start that was cut off: wait for what becomes of it. It is not sent again while it may come yet."""
        try:
            lost = await was_restarted_since(self._api, container_id)
        except DriverUnavailable as error:
            raise _in_between(spec, error) from error
        while time.monotonic() < give_up:
            found = await self._look(spec)
            if found is None:
                raise vanished(spec)
            final = read_final(found["State"])
            if final.started_at is not None:
                return
            if final.error:
                raise _refused(spec, Refused(500, final.error))
            if lost:
                break
            await anyio.sleep(LOOK_AGAIN_S)
        raise cut

    async def _look(self, spec: AttemptSpec) -> dict[str, Any] | None:
        try:
            return await inspect(self._api, spec.name)
        except Refused as refused:
            raise Unknown(f"{spec.name}: {refused.message}") from refused
        except DriverUnavailable as error:
            raise _in_between(spec, error) from error


def _in_between(spec: AttemptSpec, error: DriverUnavailable) -> Unknown:
    """The daemon went away after it was asked something: what became of that is not known."""
    return Unknown(f"{spec.name}: {error.message}", advice=error.advice)


def _check_ours(spec: AttemptSpec, found: dict[str, Any]) -> None:
    """Raise NotStarted unless the container's labels say that it is this very attempt of this very spec."""
    there: dict[str, str] = found["Config"].get("Labels") or {}
    wanted = {
        labels.OWNER: spec.owner,
        labels.RUN: spec.run_id,
        labels.TASK: spec.attempt.task_id,
        labels.ATTEMPT: str(spec.attempt.number),
        labels.SPEC_HASH: spec.spec_hash,
    }
    wrong = [key for key, value in wanted.items() if there.get(key) != value]
    if not wrong:
        return
    whose = there.get(labels.OWNER)
    holder = f"owner {whose}, run {there.get(labels.RUN)}" if whose else "someone else (it has no Wavepool labels)"
    raise NotStarted(
        f"{spec.name}: the name is taken by container {found['Id'][:12]} of {holder}; it differs in {', '.join(wrong)}",
        advice=f"See `docker inspect {spec.name}`; remove or rename it if it is not needed.",
    )


def _refused(spec: AttemptSpec, refused: Refused) -> NotStarted:
    return not_started(refused, name=spec.name, image=spec.image, network=spec.network)
