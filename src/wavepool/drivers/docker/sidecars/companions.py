"""Sidecars: brought up in order, each ready before those that depend on it, and dismissed when their task has ended.

As with attempts: names are derived, what exists is adopted by its labels, and none that was ever started is started
again. Every wait has a deadline, and ends when the attempt is no longer wanted.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio

from wavepool import labels
from wavepool.drivers.base import Handle, SidecarSpec
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.output.frames import FrameDecoder
from wavepool.drivers.docker.sidecars.companion_spec import companion_body
from wavepool.drivers.docker.sidecars.readiness import Readiness, has_settled, late, patience_s, read_readiness
from wavepool.drivers.docker.trouble import Refused, not_started
from wavepool.drivers.docker.watching.sightings import DRIVER_NAME, OwnActs
from wavepool.drivers.docker.watching.verdict import read_final
from wavepool.drivers.sidecars import Dismissed
from wavepool.errors import DriverUnavailable, NotStarted, Unknown
from wavepool.model import SidecarTrouble

AT_ONCE = 8
"""Creates and starts under way together, over all attempts."""
LOOK_S = (0.05, 0.5)
"""Between two looks at one that is not ready yet: at first, and at most."""
START_S = 120.0
STOP_MARGIN_S = 30.0
OUTSIDE = "bridge"
"""The engine's default bridge: it is always there, gives nobody's names away, and leads out."""
TAIL_LINES = 10
TAIL_BYTES = 2000
LAST_LINE_CHARACTERS = 200

Unwanted = Callable[[], bool]


class Companions:
    """Brings sidecars up and takes them down."""

    def __init__(self, api: DockerApi, own: OwnActs) -> None:
        self._api = api
        self._own = own
        self._limit = anyio.Semaphore(AT_ONCE)

    async def bring_up(
        self,
        specs: Sequence[SidecarSpec],
        network_id: str,
        *,
        host_gateway: bool,
        sealed: bool = False,
        unwanted: Unwanted = lambda: False,
        again: bool = False,
    ) -> None:
        """Start all that do not run, and wait until each is ready.

        Args:
            network_id: of the network that they share.
            host_gateway: those that have a way out may know the host by name.
            sealed: that network leads nowhere, so only `outside` ones have one.
            unwanted: asked between looks; True ends the wait.
            again: one that had ended is started again (a stack's); else that is a failure.

        Raises:
            NotStarted: one did not become ready (`sidecars` says which), or they are no longer wanted.
            Unknown: a call was cut off.
            DriverUnavailable: the engine cannot be reached.
        """
        ready = {spec.sidecar.name: anyio.Event() for spec in specs}
        failures: list[NotStarted | Unknown | DriverUnavailable] = []

        async def bring(spec: SidecarSpec) -> None:
            for needed in spec.sidecar.depends_on:
                await ready[needed].wait()
            try:
                make_body = partial(
                    companion_body,
                    spec,
                    network_id=network_id,
                    host_gateway=host_gateway and (spec.sidecar.outside or not sealed),
                    socket=self._socket(),
                    sealed=sealed,
                )
                container_id = await self._started(spec, make_body, again, unwanted)
                await self._until_ready(spec, container_id, unwanted)
            except (NotStarted, Unknown, DriverUnavailable) as error:
                failures.append(error)
                group.cancel_scope.cancel()
            else:
                ready[spec.sidecar.name].set()

        async with anyio.create_task_group() as group:
            for spec in specs:
                group.start_soon(bring, spec)
        if failures:
            raise failures[0]

    async def dismiss(self, handle: Handle, grace_s: float) -> tuple[Dismissed, ...]:
        """See `SupportsSidecars.dismiss`."""
        found = await self.stop_all(await self.beside(handle.name), grace_s)
        return tuple(_dismissed(handle, record) for record in sorted(found, key=_level))

    async def beside(self, container: str) -> list[dict[str, Any]]:
        """Summaries of the sidecars of the attempt whose container has this name. Raises DriverUnavailable."""
        return await self.labelled({labels.BESIDE: container, labels.ROLE: "sidecar"})

    async def labelled(self, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
        """Summaries of all containers with these labels, in whatever state. Raises DriverUnavailable."""
        filters = {"label": [f"{key}={value}" for key, value in wanted.items()]}
        try:
            found = await self._api.read("containers/json", {"all": "1", "filters": json.dumps(filters)})
        except Refused as refused:
            raise DriverUnavailable(f"the containers cannot be listed: {refused.words}") from refused
        return [each for each in found or [] if wanted.items() <= (each.get("Labels") or {}).items()]

    async def stop_all(self, summaries: Sequence[Mapping[str, Any]], grace_s: float) -> list[dict[str, Any]]:
        """Stop these containers, those that others depend on last; their records from before.

        Raises:
            Unknown: one could not be stopped for sure; the others were.
            DriverUnavailable: the engine cannot be reached.
        """
        found = [record for each in summaries if (record := await self.record(each["Id"]))]
        by_level: dict[int, list[dict[str, Any]]] = {}
        for record in found:
            by_level.setdefault(_level(record), []).append(record)
        failures: list[Unknown | DriverUnavailable] = []

        async def stop(record: Mapping[str, Any]) -> None:
            try:
                await self._stop(record, grace_s)
            except (Unknown, DriverUnavailable) as error:
                failures.append(error)

        for level in sorted(by_level, reverse=True):
            async with anyio.create_task_group() as group:
                for record in by_level[level]:
                    if record["State"]["Running"]:
                        group.start_soon(stop, record)
        if failures:
            raise failures[0]
        return found

    # -- up --

    async def _started(
        self, spec: SidecarSpec, make_body: Callable[[], dict[str, Any]], again: bool, unwanted: Unwanted
    ) -> str:
        """The id of its container, which has been started."""
        give_up = time.monotonic() + START_S
        problem: Unknown | None = None
        asked = False
        while True:
            _check_wanted(spec, unwanted)
            found = await self._look(spec)
            if found is None:
                problem = await self._change(spec, "containers/create", {"name": spec.name}, make_body())
            else:
                _check_ours(spec, found)
                final = read_final(found["State"])
                if final.started_at is not None and not (again and final.status in ("exited", "created")):
                    return str(found["Id"])
                if final.started_at is None and asked and final.error:
                    raise _refused(spec, Refused(500, final.error))
                if spec.sidecar.outside and not is_outside(found):
                    problem = await self._lead_out(spec, found["Id"])
                elif not asked:  # one that was cut off may come yet: it is not sent twice
                    asked = True
                    problem = await self._change(spec, f"containers/{found['Id']}/start", None, None)
                    if problem is None:
                        return str(found["Id"])
            if problem is not None or found is not None:
                if time.monotonic() > give_up:
                    raise problem or Unknown(f"{spec.name}: it was told to start, and did not")
                await anyio.sleep(LOOK_S[0] * 2)

    async def _lead_out(self, spec: SidecarSpec, container_id: str) -> Unknown | None:
        """Put a created container on the default bridge too."""
        try:
            return await self._change(spec, f"networks/{OUTSIDE}/connect", None, {"Container": container_id})
        except NotStarted as error:
            if "already exists in network" in error.message:  # of one that was cut off
                return Unknown(error.message)
            if f"network {OUTSIDE} not found" in error.message:
                raise _no_way_out(spec) from error
            raise

    async def _change(
        self, spec: SidecarSpec, path: str, params: Mapping[str, str] | None, body: dict[str, Any] | None
    ) -> Unknown | None:
        """None once it is done; what is unknown, or clashes with one of its name, is looked at again."""
        async with self._limit:
            try:
                await self._api.change("POST", path, params, body)
            except Refused as refused:
                if refused.status != 409:
                    raise _refused(spec, refused) from refused
                return Unknown(f"{spec.name}: {refused.words}")
            except Unknown as cut:
                return cut
        return None

    async def _until_ready(self, spec: SidecarSpec, container_id: str, unwanted: Unwanted) -> None:
        began = time.monotonic()
        pause_s, most_s = LOOK_S
        while True:
            _check_wanted(spec, unwanted)
            found = await self.record(container_id)
            if found is None:
                gone = SidecarTrouble(name=spec.sidecar.name, reason="its container was removed by someone else")
                raise _failed(spec, gone, transient=True)
            readiness = read_readiness(spec.sidecar.name, found)
            waited_s = time.monotonic() - began
            if readiness.ready and (readiness.tested or has_settled(found, waited_s, datetime.now(UTC))):
                return
            if readiness.trouble is None and waited_s > patience_s(found):
                readiness = Readiness(trouble=late(spec.sidecar.name, found, waited_s))
            if readiness.trouble is not None:
                trouble = replace(readiness.trouble, last_lines=await self._tail(container_id))
                raise _failed(spec, trouble, transient=readiness.transient)
            await anyio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, most_s)

    async def _tail(self, container_id: str) -> str:
        """The last lines of its output, whichever stream; empty where they cannot be read."""
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "tail": str(TAIL_LINES)}
        frames = FrameDecoder()
        text = b""
        with anyio.move_on_after(5.0):
            try:
                async with self._api.stream("GET", f"containers/{container_id}/logs", params) as stream:
                    async for piece in stream:
                        text = (text + b"".join(chunk.data for chunk in frames.feed(piece)))[-TAIL_BYTES:]
            except (Refused, DriverUnavailable, ValueError):
                pass  # the reason stands without them
        return text.decode("utf-8", "replace")

    # -- looks, and down --

    async def _look(self, spec: SidecarSpec) -> dict[str, Any] | None:
        try:
            return await inspect(self._api, spec.name)
        except Refused as refused:
            raise Unknown(f"{spec.name}: {refused.message}") from refused

    async def record(self, container_id: str) -> dict[str, Any] | None:
        """The engine's record of a container, None where it is gone. Raises Unknown, DriverUnavailable."""
        try:
            return await inspect(self._api, container_id)
        except Refused as refused:
            raise Unknown(f"container {container_id[:12]}: {refused.message}") from refused

    async def _stop(self, record: Mapping[str, Any], grace_s: float) -> None:
        container_id, grace = str(record["Id"]), math.ceil(max(0.0, _grace(record, grace_s)))
        self._own.note_stop(container_id)
        try:
            await self._api.change(
                "POST", f"containers/{container_id}/stop", {"t": str(grace)}, deadline_s=grace + STOP_MARGIN_S
            )
        except Refused as refused:
            if refused.status != 404:
                raise Unknown(f"{record['Name']}: {refused.message}") from refused

    def _socket(self) -> str:
        address = self._api.address
        return address.removeprefix("unix://") if address.startswith("unix://") else ""


def is_outside(found: Mapping[str, Any]) -> bool:
    """Whether a container is on the default bridge."""
    return OUTSIDE in ((found.get("NetworkSettings") or {}).get("Networks") or {})


def _check_wanted(spec: SidecarSpec, unwanted: Unwanted) -> None:
    if unwanted():
        raise NotStarted(f"{spec.name}: what it is for was stopped before it was ready")


def _check_ours(spec: SidecarSpec, found: Mapping[str, Any]) -> None:
    there: Mapping[str, str] = found["Config"].get("Labels") or {}
    wrong = [key for key, value in spec.labels.items() if there.get(key) != value]
    if wrong:
        raise NotStarted(
            f"{spec.name}: the name is taken by container {found['Id'][:12]}, which differs in {', '.join(wrong)}",
            advice=f"See `docker inspect {spec.name}`; remove or rename it if it is not needed.",
        )


def _failed(spec: SidecarSpec, trouble: SidecarTrouble, *, transient: bool) -> NotStarted:
    lines = trouble.last_lines.strip().splitlines()
    said = f" It said last: {lines[-1].strip()[:LAST_LINE_CHARACTERS]}" if lines else ""
    return NotStarted(
        f"sidecar {spec.sidecar.name} ({spec.sidecar.image}) did not become ready: {trouble.reason}.{said}",
        transient=transient,
        sidecars=(trouble,),
    )


def _no_way_out(spec: SidecarSpec) -> NotStarted:
    reason = "this engine has no default bridge, through which it would reach the outside"
    return NotStarted(
        f"sidecar {spec.sidecar.name}: {reason}",
        advice="Start the daemon without `--bridge=none`, or do not seal the task.",
        sidecars=(SidecarTrouble(name=spec.sidecar.name, reason=reason),),
    )


def _refused(spec: SidecarSpec, refused: Refused) -> NotStarted:
    error = not_started(refused, name=spec.name, image=spec.sidecar.image, network=None)
    # A program that cannot be executed is the sidecar's, not the task's: no exit code.
    trouble = SidecarTrouble(name=spec.sidecar.name, reason=f"it could not be started: {refused.words}")
    return NotStarted(
        f"sidecar {spec.sidecar.name}: {error.message}",
        transient=error.transient,
        advice=error.advice,
        sidecars=(trouble,),
    )


def _dismissed(handle: Handle, record: Mapping[str, Any]) -> Dismissed:
    final = read_final(record["State"])
    found: Mapping[str, str] = record["Config"].get("Labels") or {}
    ran = bool(record["State"]["Running"])
    return Dismissed(
        name=found.get(labels.SIDECAR, ""),
        handle=Handle(
            driver=DRIVER_NAME, id=str(record["Id"]), name=str(record["Name"]).lstrip("/"), attempt=handle.attempt
        ),
        ran=ran,
        exit_code=final.exit_code if final.status == "exited" else None,
        oom=bool(final.oom_flag),
        finished_at=None if ran else final.finished_at,
    )


def _level(record: Mapping[str, Any]) -> int:
    text = (record["Config"].get("Labels") or {}).get(labels.LEVEL, "0")
    return int(text) if text.isdigit() else 0


def _grace(record: Mapping[str, Any], grace_s: float) -> float:
    """Its own, as it was written into the container when it was made; else the run's."""
    own = record["Config"].get("StopTimeout")
    return float(own) if own is not None else grace_s
