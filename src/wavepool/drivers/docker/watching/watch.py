"""Watching: one label-filtered event stream, a listing, and states made of both.

Events never queue up: each is applied to its container's sighting at once, and only the ids of changed ones wait for
the consumer, so memory is bounded by the number of containers.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from wavepool.drivers.base import Phase, Scope, Synced
from wavepool.drivers.docker.api import ByteStream, DockerApi
from wavepool.drivers.docker.containers import inspect, list_containers
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.births import YOUNG_S, Births
from wavepool.drivers.docker.watching.kernel_log import KernelLog
from wavepool.drivers.docker.watching.lifetime import DaemonLifetime
from wavepool.drivers.docker.watching.looking_back import look_back
from wavepool.drivers.docker.watching.peaks import Peaks
from wavepool.drivers.docker.watching.reconciling import EVERY_S, Reconciler
from wavepool.drivers.docker.watching.sightings import (
    OwnActs,
    Sighting,
    container_name,
    event_time,
    in_scope,
    scope_filter,
    sight,
)
from wavepool.drivers.docker.watching.telling import Teller, Told
from wavepool.errors import DriverUnavailable

REPLAY_S = 2.0
"""The daemon sends a stream's header before it subscribes: events from a moment earlier are asked for too."""
INSPECTS_AT_ONCE = 8
TELLERS = 4
BUFFER = 256
"""Observations that wait for the consumer; beyond it, changes of one container fold into one."""
EVENT_MAX_BYTES = 1 << 20
BACKOFF_MAX_S = 2.0


class ObservationStream:
    """What `watch` yields. Ends only with DriverUnavailable."""

    def __init__(self, receive: MemoryObjectReceiveStream[Told], watcher: Watcher) -> None:
        self._receive = receive
        self._watcher = watcher

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Told:
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            raise self._watcher.failure or DriverUnavailable("the watch has ended") from None


@asynccontextmanager
async def watching(
    api: DockerApi, scope: Scope, own: OwnActs, *, patience_s: float, reconcile_s: float = EVERY_S
) -> AsyncIterator[ObservationStream]:
    """Run a `Watcher` for as long as the context is open; errors of the body come out as they are."""
    send, receive = anyio.create_memory_object_stream[Told](BUFFER)
    watcher = Watcher(api, scope, own, send, patience_s=patience_s, reconcile_s=reconcile_s)
    failure: Exception | None = None
    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(watcher.run)
            try:
                yield ObservationStream(receive, watcher)
            except Exception as error:  # kept out of the group, which would wrap it
                failure = error
            finally:
                group.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Watcher:
    """Keeps the states of one scope and tells their changes.

    Attributes:
        failure: why it gave up, once it has.
    """

    def __init__(
        self,
        api: DockerApi,
        scope: Scope,
        own: OwnActs,
        out: MemoryObjectSendStream[Told],
        *,
        patience_s: float,
        reconcile_s: float = EVERY_S,
    ) -> None:
        self.failure: DriverUnavailable | None = None
        self._api = api
        self._scope = scope
        self._own = own
        self._out = out
        self._patience_s = patience_s
        self._known: dict[str, Sighting] = {}
        self._kernel = KernelLog()
        self._peaks = Peaks()
        self._teller = Teller(api, own, self._known, out, self._kernel, self._peaks)
        self._changed: dict[str, None] = {}
        self._being_told: set[str] = set()
        self._passed: set[str] = set()  # what was gone before anyone could be told of it
        self._wake = anyio.Event()
        self._since = time.time() - REPLAY_S
        self._births = Births(self._note_oom)
        self._listed = False
        self._ever_listed = False
        self._lifetime = DaemonLifetime(api)
        self._unproven = False
        self._reconciler = Reconciler(api, scope, self._known, self._note_changed, every_s=reconcile_s)

    async def run(self) -> None:
        """Watch until cancelled, or until the daemon stayed away for longer than the patience."""
        with self._out, closing(self._kernel), self._own.hearing_claims(self._hear_claim):
            async with anyio.create_task_group() as group:
                group.start_soon(self._births.run)
                group.start_soon(self._kernel.run)
                group.start_soon(self._peaks.run)
                await self._keep_connected()
                group.cancel_scope.cancel()

    async def _keep_connected(self) -> None:
        away_since: float | None = None
        delay_s = 0.02
        while True:
            self._listed = False
            try:
                await self._connected()
            except (DriverUnavailable, Refused) as error:
                now = time.monotonic()
                away_since = now if away_since is None or self._listed else away_since
                if now - away_since >= self._patience_s:
                    self.failure = _gave_up(error, self._patience_s)
                    return
            if not self._listed:
                self._note_absence()
            delay_s = 0.02 if self._listed else min(delay_s * 2, BACKOFF_MAX_S)
            self._expect_gap()
            await anyio.sleep(min(delay_s, self._patience_s))

    def _note_absence(self) -> None:
        """The daemon is away: nobody reads what those that run on write, and some of it may be lost."""
        for sighting in self._known.values():
            if sighting.phase is Phase.RUNNING:
                self._own.note_unread(sighting.handle.id)

    def _expect_gap(self) -> None:
        """What had not ended may end now, unseen, and by the daemon."""
        for sighting in self._known.values():
            sighting.complete = False
            if sighting.phase in (Phase.CREATED, Phase.RUNNING):
                sighting.in_gap = True

    async def _close_gap(self) -> None:
        """See whether it is the daemon that was there before, or one that kept its containers."""
        self._unproven = not await self._lifetime.unbroken()
        for sighting in self._known.values():
            sighting.in_gap = sighting.in_gap and self._unproven
            sighting.daemon_began = self._lifetime.began

    async def _connected(self) -> None:
        """One connection: subscribe, list, tell, until it is cut.

        Raises:
            DriverUnavailable, Refused: it was cut, or could not be made.
        """
        filters = {"type": ["container"], "label": scope_filter(self._scope)}
        params = {"filters": json.dumps(filters), "since": f"{self._since:.6f}"}
        cut: list[Exception] = []
        async with self._api.stream("GET", "events", params) as stream:
            await self._close_gap()  # before anything of the gap is told
            async with anyio.create_task_group() as group:
                group.start_soon(self._until_cut, group, cut, self._read, stream)
                group.start_soon(self._until_cut, group, cut, self._list_then_tell, group, cut)
        raise cut[0] if cut else DriverUnavailable("the Docker daemon ended its event stream")

    async def _until_cut(self, group: TaskGroup, cut: list[Exception], work: Any, *arguments: Any) -> None:
        """Run one part of a connection; its failure ends the others, and is kept for `_connected` to raise."""
        try:
            await work(*arguments)
        except (DriverUnavailable, Refused) as error:
            cut.append(error)
            group.cancel_scope.cancel()

    async def _read(self, stream: ByteStream) -> None:
        rest = b""
        async for piece in stream:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line.strip():
                    self._take(json.loads(line))
            if len(rest) > EVENT_MAX_BYTES:
                raise DriverUnavailable("the Docker daemon sent an event of more than 1 MiB")
        raise DriverUnavailable("the Docker daemon ended its event stream")

    def _take(self, event: dict[str, Any]) -> None:
        """Apply one event to its container's sighting."""
        actor = event.get("Actor") or {}
        attributes: dict[str, str] = actor.get("Attributes") or {}
        container_id = str(actor.get("ID", ""))
        self._since = max(self._since, int(event["timeNano"]) / 1e9)
        if container_id in self._passed or not in_scope(attributes, self._scope):
            return
        sighting = self._known.get(container_id)
        if sighting is None:
            if event["Action"] not in ("create", "start", "oom", "kill", "die"):
                return
            sighting = sight(container_id, attributes.get("name", ""), attributes)
            if sighting is None:
                return
            self._known[container_id] = sighting
        if _stale(sighting, str(event["Action"])):
            return
        self._watch_over(container_id, str(event["Action"]), age_s=time.time() - int(event["timeNano"]) / 1e9)
        if sighting.apply(str(event["Action"]), attributes, event_time(event)):
            self._note_changed(container_id)

    def _note_changed(self, container_id: str) -> None:
        self._changed[container_id] = None
        self._wake.set()

    def _hear_claim(self, container_id: str) -> None:
        if container_id in self._known:
            self._note_changed(container_id)
            if self._is_local:
                self._peaks.started(container_id)

    def _watch_over(self, container_id: str, action: str, *, age_s: float) -> None:
        """Look closely at a container in its first moments, where its cgroup is on this host.

        Those of a parked one are over when its task begins: the engine hears of all its memory kills.
        """
        if self._known[container_id].slot is not None:
            return
        if not self._is_local or (action in ("create", "start") and age_s > YOUNG_S):
            return
        if action == "create":
            self._births.expect(container_id)
            self._peaks.expect(container_id)
        elif action == "start":
            self._births.started(container_id)
            self._peaks.started(container_id)
        elif action in ("die", "destroy"):
            self._births.forget(container_id)
            self._peaks.ended(container_id)

    @property
    def _is_local(self) -> bool:
        """Whether the containers' cgroups may be on this host."""
        return self._api.address.startswith("unix://")

    def _note_oom(self, container_id: str, kills: int) -> None:
        sighting = self._known.get(container_id)
        if sighting is not None:
            sighting.note_counter(kills, datetime.now(UTC))

    async def _list_then_tell(self, group: TaskGroup, cut: list[Exception]) -> None:
        present = await self._list(group, cut)
        await self._out.send(Synced(present=present))
        self._listed = self._ever_listed = True
        for _ in range(TELLERS):
            group.start_soon(self._until_cut, group, cut, self._tell_changes)
        group.start_soon(self._until_cut, group, cut, self._reconciler.run)

    async def _list(self, group: TaskGroup, cut: list[Exception]) -> frozenset[Any]:
        """Tell the state of each container that is there, and GONE for each that was and is not."""
        found: list[Sighting] = []
        summaries = await list_containers(self._api, self._scope)
        gaps = {} if self._ever_listed else await look_back(self._api, self._scope, summaries, self._lifetime.began)
        for summary in summaries:
            sighting = self._known.get(summary["Id"]) or self._sight_listed(summary)
            if sighting is not None:
                self._known[summary["Id"]] = sighting
                if self._is_local and summary.get("State") == "running" and sighting.slot is None:
                    self._peaks.expect(summary["Id"])
                sighting.unwatched = gaps.get(summary["Id"], sighting.unwatched)
                found.append(sighting)
        ids = {sighting.handle.id for sighting in found}
        await self._mark_absent(ids)
        limit = anyio.Semaphore(INSPECTS_AT_ONCE)
        async with anyio.create_task_group() as inner:
            for sighting in found:
                inner.start_soon(self._until_cut, group, cut, self._tell_listed, sighting, limit)
        for container_id in [known for known in self._known if known not in ids]:
            await self._teller.tell(self._known[container_id])
        return frozenset((each.run_id, each.handle.attempt) for each in found if each.phase is not Phase.GONE)

    def _sight_listed(self, summary: dict[str, Any]) -> Sighting | None:
        sighting = sight(summary["Id"], container_name(summary), summary.get("Labels") or {})
        if sighting is not None:
            sighting.in_gap, sighting.daemon_began = self._unproven, self._lifetime.began
        return sighting

    async def _mark_absent(self, listed: set[str]) -> None:
        """What was told and is not listed is looked for once more, before it is told gone.

        What came and went before the listing was never there for anyone, even if the events that are told again have
        not come to its end yet; the rest is younger, and told by events.
        """
        for container_id, sighting in list(self._known.items()):
            if container_id in listed:
                continue
            if sighting.told is not None:
                sighting.unlisted = True
            elif sighting.phase is Phase.GONE or await inspect(self._api, container_id) is None:
                self._passed.add(container_id)
                self._known.pop(container_id, None)
                self._peaks.forget(container_id)
                self._changed.pop(container_id, None)

    async def _tell_listed(self, sighting: Sighting, limit: anyio.Semaphore) -> None:
        async with limit:
            await self._teller.tell_inspected(sighting, repeat=True)

    async def _tell_changes(self) -> None:
        while True:
            container_id = next((each for each in self._changed if each not in self._being_told), None)
            if container_id is None:
                self._wake = anyio.Event() if self._wake.is_set() else self._wake
                await self._wake.wait()
                continue
            del self._changed[container_id]
            self._being_told.add(container_id)
            try:
                if container_id in self._known:
                    await self._teller.tell(self._known[container_id])
            finally:
                self._being_told.discard(container_id)
                if container_id in self._changed:
                    self._wake.set()


def _stale(sighting: Sighting, action: str) -> bool:
    """A replayed event of a phase that is long past."""
    return action == "start" and sighting.phase in (Phase.EXITED, Phase.GONE)


def _gave_up(error: DriverUnavailable | Refused, patience_s: float) -> DriverUnavailable:
    return DriverUnavailable(
        f"the Docker daemon stayed away for {math.ceil(patience_s)} s: {error.message}", advice=error.advice
    )
