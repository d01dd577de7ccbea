"""A client of a simulated engine, with the manners of the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import anyio.lowlevel

from wavepool.drivers.base import (
    AttemptSpec,
    Driver,
    DriverFacts,
    Handle,
    LogChunk,
    Needs,
    Observation,
    Phase,
    Prepared,
    PullProgress,
    Removed,
    Scope,
    Synced,
    Usage,
)
from wavepool.drivers.keeping import Kept, SupportsKeeping
from wavepool.drivers.memory.containers import DRIVER_NAME, Container
from wavepool.drivers.memory.hazards import Fault
from wavepool.drivers.memory.parking import Parked
from wavepool.drivers.memory.reusing import MemoryReusable, idle_spec
from wavepool.drivers.memory.watching import OutputStream, StateStream
from wavepool.drivers.memory.world import MemoryWorld
from wavepool.drivers.parking import Claim, SupportsParking, SupportsReuse
from wavepool.drivers.start_mark import vanished
from wavepool.errors import DriverUnavailable, KeepError, NoSuchAttempt, NotStarted, PrepareError, Unknown

_T = TypeVar("_T")


class MemoryDriver(Driver, SupportsKeeping, SupportsParking, SupportsReuse):
    """Keeps the contract on a `MemoryWorld`. Any number of drivers may share one world.

    What it does wrong is decided by ``world.hazards``; each `Fault` says what it does.
    """

    name = DRIVER_NAME

    def __init__(self, world: MemoryWorld) -> None:
        self._world = world
        self._parked = Parked(world)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._parked.release_all()

    async def probe(self) -> DriverFacts:
        await self._reach("probe")
        return DriverFacts(driver=self.name, version="simulated", execution_mode="docker", nodes=self._world.nodes)

    async def prepare(self, needs: Needs, progress: PullProgress | None = None) -> Prepared:
        return await self._shielded(self._prepare(needs, progress), self._world.latencies.deadline_s)

    async def _prepare(self, needs: Needs, progress: PullProgress | None) -> Prepared:
        await self._reach("prepare")
        await self._pass(self._world.latencies.prepare_s)
        for image in needs.images:
            self._have_image(image, needs.pull, progress)
        created = [need for need in needs.networks if need.name not in self._world.networks]
        for need in created:
            if self._strikes(Fault.PREPARE_FAILS, need.name):
                raise PrepareError(need.name, f"network {need.name} cannot be created: injected")
            self._world.networks[need.name] = dict(need.labels)
        image_ids = {image: f"sim:{image}" for image in needs.images}
        return Prepared(image_ids=image_ids, networks_created=tuple(need.name for need in created))

    async def start(self, spec: AttemptSpec) -> Handle:
        return await self._shielded(self._start(spec), self._world.latencies.deadline_s)

    async def _start(self, spec: AttemptSpec) -> Handle:
        subject = _key(spec)
        await self._reach(f"start/{subject}")
        self._refuse_by_fault(spec, subject)
        container = await self._create_or_adopt(spec)
        if container.phase is Phase.CREATED and self._strikes(Fault.START_IMPOSSIBLE, subject):
            raise NotStarted(f"{spec.name} cannot be started: injected")
        if self._strikes(Fault.START_CUT_BETWEEN, subject):
            raise Unknown(f"the start of {spec.name} was cut off after its create")
        if container.phase is Phase.CREATED:
            await self._pass(self._world.latencies.claim_s if container.is_parked else self._world.latencies.start_s)
            container = self._taken(container) or await self._create_or_adopt(spec)
            self._world.run(container)
        if container.phase is Phase.GONE:
            raise NotStarted(f"{spec.name} was removed while it was being started")
        if self._strikes(Fault.START_CUT_AFTER, subject):
            raise Unknown(f"the start of {spec.name} was cut off")
        return container.handle

    async def park(self, spec: AttemptSpec) -> Handle:
        return await self._shielded(self._park(spec), self._world.latencies.deadline_s)

    async def _park(self, spec: AttemptSpec) -> Handle:
        await self._reach(f"park/{_key(spec)}")
        self._parked.check(spec)
        self._refuse_by_fault(spec, _key(spec))
        container = await self._create_or_adopt(spec)
        if container.phase is not Phase.CREATED:
            raise NotStarted(f"{spec.name} cannot be parked: it runs, or ran, already")
        container.is_parked = True
        await self._pass(self._world.latencies.start_s)
        self._parked.hold(container)
        return container.handle

    async def claim(self, handle: Handle, claim: Claim) -> None:
        await self._shielded(self._claim(handle, claim), self._world.latencies.deadline_s)

    async def _claim(self, handle: Handle, claim: Claim) -> None:
        await self._reach(f"claim/{handle.attempt}")
        await self._pass(self._world.latencies.claim_s)
        self._parked.claim(handle, claim)

    async def unpark(self, handle: Handle) -> None:
        self._parked.release(handle.name)

    def is_parked(self, handle: Handle) -> bool:
        return self._parked.held(handle.name) is not None

    def claimed_at(self, slot: Path) -> datetime | None:
        return self._world.claims.get(slot)

    async def open_reusable(self, spec: AttemptSpec) -> MemoryReusable:
        idle = idle_spec(spec)
        if self._world.named(spec.name) is not None:
            raise NotStarted(f"{spec.name} exists already")
        handle = await self.start(idle)
        container = self._world.find(handle)
        if container is None:
            raise NotStarted(f"{spec.name} was removed while it was being started")
        return MemoryReusable(self._world, container)

    def watch(self, scope: Scope) -> AbstractAsyncContextManager[AsyncIterator[Observation | Synced]]:
        return self._watch(scope)

    @asynccontextmanager
    async def _watch(self, scope: Scope) -> AsyncIterator[AsyncIterator[Observation | Synced]]:
        await self._reach("watch")
        stream = StateStream(self._world, scope)
        self._world.watch(stream)
        try:
            yield stream
        finally:
            self._world.unwatch(stream)

    def logs(
        self, handle: Handle, since: datetime | None = None, *, follow: bool = True
    ) -> AbstractAsyncContextManager[AsyncIterator[LogChunk]]:
        return self._logs(handle, since, follow)

    @asynccontextmanager
    async def _logs(
        self, handle: Handle, since: datetime | None, follow: bool
    ) -> AsyncIterator[AsyncIterator[LogChunk]]:
        await self._reach(f"logs/{handle.attempt}")
        container = self._world.find(handle)
        if container is None:
            raise NoSuchAttempt(f"{handle.name} does not exist any more")
        yield OutputStream(self._world, container, since, follow=follow)

    async def usage(self, handles: Collection[Handle]) -> dict[Handle, Usage]:
        await self._reach("usage")
        found = {handle: self._world.find(handle) for handle in handles}
        running = {handle: each for handle, each in found.items() if each and each.phase is Phase.RUNNING}
        return {handle: each.usage(self._world.time_s) for handle, each in running.items()}

    async def stop(self, handle: Handle, grace_s: float) -> None:
        await self._shielded(self._stop(handle, grace_s), grace_s + self._world.latencies.deadline_s)

    async def _stop(self, handle: Handle, grace_s: float) -> None:
        await self._reach(f"stop/{handle.attempt}")
        container = self._world.find(handle)
        if container is None:
            return
        if self._strikes(Fault.STOP_HANGS, container.key):
            await anyio.sleep_forever()
        await self._pass(self._world.latencies.stop_s)
        await self._end(container, grace_s)
        if self._strikes(Fault.STOP_CUT_AFTER, container.key):
            raise Unknown(f"the stop of {handle.name} was cut off")

    async def remove(self, target: Scope | Handle) -> Removed:
        return await self._shielded(self._remove(target), self._world.latencies.deadline_s)

    async def _remove(self, target: Scope | Handle) -> Removed:
        await self._reach("remove")
        await self._pass(self._world.latencies.remove_s)
        removed, errors = self._remove_containers(self._targets(target))
        networks = self._world.networks_within(target) if isinstance(target, Scope) else []
        for name in networks:
            del self._world.networks[name]
        return Removed(containers=tuple(removed), networks=tuple(networks), errors=tuple(errors))

    async def keep(self, handle: Handle, reference: str) -> str:
        return await self._shielded(self._keep(handle, reference), self._world.latencies.deadline_s)

    async def _keep(self, handle: Handle, reference: str) -> str:
        await self._reach(f"keep/{handle.attempt}")
        if reference in self._world.kept:
            return reference
        container = self._world.find(handle)
        if container is None or container.started_s is None:
            raise NoSuchAttempt(f"nothing that could be kept is left of {handle.name}")
        if self._strikes(Fault.KEEP_FAILS, container.key):
            raise KeepError(f"the file system of {handle.name} cannot be kept: injected")
        spec = container.spec
        kept = Kept(reference=reference, run_id=spec.run_id, attempt=spec.attempt)
        self._world.kept[reference] = (spec.owner, kept)
        if self._strikes(Fault.KEEP_CUT_AFTER, container.key):
            raise Unknown(f"the keeping of {handle.name} was cut off")
        return reference

    async def kept(self, owner: str, run_id: str | None = None) -> tuple[Kept, ...]:
        await self._reach("kept")
        return tuple(
            kept for whose, kept in self._world.kept.values() if whose == owner and run_id in (None, kept.run_id)
        )

    async def discard(self, kept: Kept) -> str:
        await self._reach("discard")
        self._world.kept.pop(kept.reference, None)
        return ""

    # ---- inside ----

    async def _shielded(self, call: Coroutine[Any, Any, _T], deadline_s: float) -> _T:
        """Let a call that changes something end by itself, or by its deadline.

        Raises:
            Unknown: the deadline passed.
        """
        with anyio.CancelScope(shield=True), anyio.move_on_after(deadline_s):
            return await call
        raise Unknown(f"a call of the simulated engine did not return within {deadline_s:.0f} s")

    async def _reach(self, call: str) -> None:
        await anyio.lowlevel.checkpoint()
        self._world.advance()
        if self._strikes(Fault.UNAVAILABLE, call):
            raise DriverUnavailable("the simulated engine cannot be reached", advice="Try again.")

    async def _pass(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self._world.advance()

    def _strikes(self, fault: Fault, subject: str) -> bool:
        return self._world.hazards.strikes(fault, subject)

    def _have_image(self, image: str, pull: str, progress: PullProgress | None) -> None:
        if image in self._world.absent_images:
            raise PrepareError(image, f"image {image} does not exist", advice="Build it, or name another one.")
        if self._strikes(Fault.PREPARE_FAILS, image):
            raise PrepareError(image, f"image {image} cannot be pulled: injected")
        if progress is not None and pull == "always":
            progress(image, "already there")

    def _refuse_by_fault(self, spec: AttemptSpec, subject: str) -> None:
        """The faults that come before the engine has done anything."""
        if self._strikes(Fault.START_CUT_BEFORE, subject):
            raise Unknown(f"the start of {spec.name} was cut off")
        if self._world.named(spec.name) is not None or self._world.is_appearing(spec.name):
            return  # it may be running: nobody may say that it did not start
        if self._strikes(Fault.START_REFUSED, subject):
            raise NotStarted(f"the engine is too busy to start {spec.name}: injected", transient=True)
        if self._strikes(Fault.CREATE_LATE, subject):
            self._world.create_late(spec, self._world.latencies.reappear_s)
            raise Unknown(f"the create of {spec.name} was cut off")

    async def _create_or_adopt(self, spec: AttemptSpec) -> Container:
        await self._pass(self._world.latencies.create_s)
        while self._world.is_appearing(spec.name):  # the name is taken, and yet nothing is there to be found
            await self._world.wait()
        existing = self._world.named(spec.name)
        if existing is not None and existing.is_unclaimed and self._parked.held(spec.name) is None:
            self._world.destroy(existing)  # nobody can claim it any more, and nothing ran in it
            existing = None
        if existing is None:
            if self._world.has_run(spec):
                raise vanished(spec)
            self._check(spec)
            return self._world.create(spec)
        if not existing.agrees_with(spec):
            raise NotStarted(f"{spec.name} exists, and is not what was asked for")
        return existing

    def _taken(self, container: Container) -> Container | None:
        """A container that is to run now; None for a parked one that does not take its claim."""
        return self._parked.take(container.spec.name) if container.is_parked else container

    def _check(self, spec: AttemptSpec) -> None:
        if spec.image in self._world.absent_images:
            raise NotStarted(f"image {spec.image} does not exist")
        if spec.network is not None and spec.network not in self._world.networks:
            raise NotStarted(f"network {spec.network} does not exist")

    async def _end(self, container: Container, grace_s: float) -> None:
        if container.phase is Phase.CREATED:
            self._world.destroy(container)  # so that it never will start
        self._world.signal(container, "SIGTERM")
        self._world.at(self._world.time_s + grace_s, lambda: self._world.signal(container, "SIGKILL"))
        while container.phase is Phase.RUNNING:
            await self._world.wait()

    def _targets(self, target: Scope | Handle) -> list[Container]:
        if isinstance(target, Scope):
            return self._world.within(target)
        found = self._world.find(target)
        return [] if found is None else [found]

    def _remove_containers(self, containers: list[Container]) -> tuple[list[str], list[str]]:
        removed, errors = [], []
        for each in containers:
            if self._strikes(Fault.REMOVE_FAILS, each.key):
                errors.append(f"{each.spec.name} cannot be removed: injected")
                continue
            self._world.signal(each, "SIGKILL")
            self._world.destroy(each)
            removed.append(each.spec.name)
        return removed, errors


def _key(spec: AttemptSpec) -> str:
    return f"{spec.run_id}/{spec.attempt}"
