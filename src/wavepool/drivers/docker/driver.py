"""The Docker driver: the contract's eight methods, each handed to the part that knows how."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread

from wavepool.drivers.base import (
    AttemptSpec,
    Driver,
    DriverFacts,
    Handle,
    LogChunk,
    Needs,
    Observation,
    Prepared,
    PullProgress,
    Removed,
    Scope,
    Synced,
    Usage,
)
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.facts import driver_facts, is_remote
from wavepool.drivers.docker.networks.own import OwnNetworks
from wavepool.drivers.docker.networks.shared import Networks
from wavepool.drivers.docker.output.logs import reading_logs
from wavepool.drivers.docker.parking.claim_mark import claimed_at, is_laid_out
from wavepool.drivers.docker.parking.claiming import CLAIM_DEADLINE_S, Claimer
from wavepool.drivers.docker.parking.parker import Held, Parker
from wavepool.drivers.docker.remains.keeping import Keeper
from wavepool.drivers.docker.remains.removal import Remover
from wavepool.drivers.docker.reusing import DockerReusable, Reuse
from wavepool.drivers.docker.sidecars.companions import Companions
from wavepool.drivers.docker.sidecars.stacks import Stacks
from wavepool.drivers.docker.starting.delivery import SecretStore, default_secrets_dir, write_prompt
from wavepool.drivers.docker.starting.images import Images
from wavepool.drivers.docker.starting.spec import create_body, user_of
from wavepool.drivers.docker.starting.starter import Starter
from wavepool.drivers.docker.trouble import Refused, advice_for
from wavepool.drivers.docker.usage.sweep import Sweeper
from wavepool.drivers.docker.watching.reconciling import EVERY_S
from wavepool.drivers.docker.watching.sightings import DRIVER_NAME, OwnActs
from wavepool.drivers.docker.watching.watch import watching
from wavepool.drivers.keeping import Kept, SupportsKeeping
from wavepool.drivers.parking import Claim, SupportsParking, SupportsReuse
from wavepool.drivers.sidecars import Dismissed, SupportsSidecars
from wavepool.drivers.stacks import ServiceState, StackChange, StackSpec, SupportsStacks
from wavepool.drivers.start_mark import is_marked, make_mark, unmake_mark, vanished
from wavepool.errors import CannotPark, DriverUnavailable, InputError, MayHaveRun, NotClaimed, NotStarted

PATIENCE_S = 60.0
START_DEADLINE_S = 120.0


class DockerDriver(Driver, SupportsKeeping, SupportsParking, SupportsReuse, SupportsSidecars, SupportsStacks):
    """Attempts in containers of one Docker engine.

    Args:
        host: the engine's address; None for DOCKER_HOST, the current context, or the usual sockets.
        secrets_dir: host directory on a tmpfs for secrets; None for ``/dev/shm/wavepool-<uid>``.
        patience_s: how long a watch bears an engine that is away.
        reconcile_s: how often a watch lists what there is, in case an event was lost.
        start_deadline_s: bound of one start, its retries included; sidecars have their own.
        claim_deadline_s: for a parked shell's answer to its claim; one that gives none is killed.
    """

    name = DRIVER_NAME

    def __init__(
        self,
        *,
        host: str | None = None,
        secrets_dir: Path | None = None,
        patience_s: float = PATIENCE_S,
        reconcile_s: float = EVERY_S,
        start_deadline_s: float = START_DEADLINE_S,
        claim_deadline_s: float = CLAIM_DEADLINE_S,
    ) -> None:
        self._api = DockerApi(host)
        self._patience_s = patience_s
        self._reconcile_s = reconcile_s
        self._own = OwnActs()
        self._secrets = SecretStore(secrets_dir or default_secrets_dir())
        self._images = Images(self._api)
        self._networks = Networks(self._api)
        self._starter = Starter(self._api, self._networks, deadline_s=start_deadline_s)
        self._companions = Companions(self._api, self._own)
        self._own_networks = OwnNetworks(self._api)
        self._remover = Remover(self._api, self._own, self._networks, self._secrets, self._companions)
        self._claimer = Claimer(self._api, self._own, self._remover, deadline_s=claim_deadline_s)
        self._parker = Parker(self._api, self._starter, self._parkable_body, self._claimer.clear)
        self._stacks = Stacks(self._companions, self._own_networks, self._networks, self._remover)
        self._names: dict[str, _Turn] = {}
        self._never_start: set[str] = set()
        self._info: dict[str, Any] | None = None
        self._has_gateway: bool | None = None
        self._sweeper = Sweeper(self._api)
        self._keeper = Keeper(self._api)
        self._reuse = Reuse(self._api, self._starter, is_remote=self._is_remote, knows_gateway=self._knows_gateway)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._sweeper.close()
        self._parker.close()
        await self._api.close()

    async def probe(self) -> DriverFacts:
        try:
            version = await self._api.read("version")
            before = time.time()
            self._info = info = await self._api.read("info")
        except Refused as refused:
            raise DriverUnavailable(
                f"the Docker daemon does not say what it is: {refused.words}", advice=advice_for(refused.words)
            ) from refused
        return driver_facts(version, info, address=self._api.address, asked_at_s=(before + time.time()) / 2)

    async def prepare(self, needs: Needs, progress: PullProgress | None = None) -> Prepared:
        images = {
            image: await self._images.ensure(image, needs.pull, progress) for image in dict.fromkeys(needs.images)
        }
        created = [need.name for need in needs.networks if await self._networks.ensure(need)]
        return Prepared(image_ids=images, networks_created=tuple(created))

    async def start(self, spec: AttemptSpec) -> Handle:
        async with self._turn(spec.name):
            self._own.starting.add(spec.name)
            try:
                container_id = await self._start(spec)
            finally:
                self._own.starting.discard(spec.name)
        return Handle(driver=self.name, id=container_id, name=spec.name, attempt=spec.attempt)

    async def open_reusable(self, spec: AttemptSpec) -> DockerReusable:
        async with self._turn(spec.name):
            self._own.starting.add(spec.name)
            try:
                return await self._reuse.open(spec)
            finally:
                self._own.starting.discard(spec.name)

    def watch(self, scope: Scope) -> AbstractAsyncContextManager[AsyncIterator[Observation | Synced]]:
        return watching(self._api, scope, self._own, patience_s=self._patience_s, reconcile_s=self._reconcile_s)

    def logs(
        self, handle: Handle, since: datetime | None = None, *, follow: bool = True
    ) -> AbstractAsyncContextManager[AsyncIterator[LogChunk]]:
        return reading_logs(self._api, handle, since, follow=follow, gap=self._own.unread(handle.id))

    async def usage(self, handles: Collection[Handle]) -> dict[Handle, Usage]:
        return await self._sweeper.sweep(handles, by_files=not await self._is_remote())

    async def stop(self, handle: Handle, grace_s: float) -> None:
        self._never_start.add(handle.name)
        async with self._turn(handle.name):
            await self._remover.stop(handle, grace_s)

    async def park(self, spec: AttemptSpec) -> Handle:
        if await self._is_remote():
            raise CannotPark(
                f"{spec.name}: containers of a remote Docker daemon ({self._api.address}) cannot be parked: "
                "their start mark would not be seen here"
            )
        async with self._turn(spec.name):
            return await self._parker.park(spec)

    async def claim(self, handle: Handle, claim: Claim) -> None:
        held = self._parker.held(handle.name, handle.id)
        if held is None:
            raise NotClaimed(f"{handle.name} is not parked, or its connection is lost: nothing ran in it")
        try:
            await self._claimer.claim_late(held, claim)
        finally:
            if held.taken:
                self._parker.release(handle.name)

    async def unpark(self, handle: Handle) -> None:
        self._parker.release(handle.name)

    def is_parked(self, handle: Handle) -> bool:
        return self._parker.held(handle.name, handle.id) is not None

    def claimed_at(self, slot: Path) -> datetime | None:
        return claimed_at(slot)

    async def dismiss(self, handle: Handle, grace_s: float) -> tuple[Dismissed, ...]:
        return await self._companions.dismiss(handle, grace_s)

    async def stack_up(self, spec: StackSpec, grace_s: float) -> StackChange:
        return await self._stacks.up(spec, grace_s, host_gateway=await self._knows_gateway())

    async def stack_state(self, owner: str, name: str) -> tuple[ServiceState, ...]:
        return await self._stacks.state(owner, name)

    async def stack_down(self, owner: str, name: str, grace_s: float) -> Removed:
        return await self._stacks.down(owner, name, grace_s)

    async def remove(self, target: Scope | Handle) -> Removed:
        try:
            removed = await self._remover.remove(target)
        finally:  # nobody claims any more what was to be removed, also where it is there yet
            if isinstance(target, Scope):
                self._parker.release_all(target)
            else:
                self._parker.release(target.name)
                self._sweeper.forget(target.id)
        if isinstance(target, Handle) and not removed.errors:
            self._never_start.discard(target.name)
        return removed

    async def keep(self, handle: Handle, reference: str) -> str:
        return await self._keeper.keep(handle, reference)

    async def kept(self, owner: str, run_id: str | None = None) -> tuple[Kept, ...]:
        return await self._keeper.kept(owner, run_id)

    async def discard(self, kept: Kept) -> str:
        return await self._keeper.discard(kept)

    async def _start(self, spec: AttemptSpec) -> str:
        held = None if spec.name in self._never_start else self._parker.held(spec.name)
        if held is not None and held.spec.spec_hash == spec.spec_hash and await self._claim_bound(held):
            return held.id
        marked = await anyio.to_thread.run_sync(is_marked, spec.slot)  # looked for before the container, as it is later
        existing = await self._starter.find(spec)
        if existing is not None and existing.parked and not existing.was_started:
            if not await self._claimer.clear(spec, existing, is_laid_out(spec.slot)):
                return existing.id
            existing, marked = None, False
        if existing is None and marked:
            raise vanished(spec)
        if existing is not None and existing.was_started:
            return existing.id  # what it was given must not change under it
        if spec.name in self._never_start:
            raise NotStarted(f"{spec.name} was stopped before it started")
        own_network_id = await self._bring_up_sidecars(spec)
        body = await self._body(spec, own_network_id)
        return await self._starter.start(spec, body)

    async def _claim_bound(self, held: Held) -> bool:
        """Let a parked attempt go; False where it is certain that it did not, or what has its name now must tell."""
        slot = held.spec.slot
        try:
            ours = await anyio.to_thread.run_sync(make_mark, slot)
            try:
                await self._claimer.claim_bound(held)
            except (NotClaimed, InputError):
                if ours:
                    await anyio.to_thread.run_sync(unmake_mark, slot)
                return False
            except MayHaveRun:  # or another driver has proven that it never ran, and took it away: our mark stays
                return False
        except OSError as error:
            raise NotStarted(f"{held.spec.name}: its slot cannot be written: {error}", transient=True) from error
        finally:
            self._parker.release(held.spec.name)
        return True

    async def _bring_up_sidecars(self, spec: AttemptSpec) -> str | None:
        """Its own network, with its sidecars on it and ready; the network's id, None where it has none."""
        if spec.own_network is None:
            return None
        network_id = await self._own_networks.ensure(spec.own_network, len(spec.sidecars) + 1)
        await self._companions.bring_up(
            spec.sidecars,
            network_id,
            host_gateway=await self._knows_gateway(),
            sealed=spec.own_network.internal,
            unwanted=lambda: spec.name in self._never_start,
        )
        return network_id

    async def _knows_gateway(self) -> bool:
        """True where the engine can tell containers the host's address: where it has its default bridge."""
        if self._has_gateway is None:
            try:
                self._has_gateway = bool(await self._api.read("networks/bridge"))
            except Refused:
                self._has_gateway = False
        return self._has_gateway

    async def _body(self, spec: AttemptSpec, own_network_id: str | None) -> dict[str, Any]:
        """Put prompt and secrets where the container will find them, and make the body of its create call."""
        user = user_of(spec)
        if spec.secrets and await self._is_remote():
            raise NotStarted(
                f"{spec.name}: secrets cannot be given to containers of a remote Docker daemon ({self._api.address}): "
                "they would have to cross into its disk or its environment",
                advice="Run Wavepool on the Docker host itself, or leave the secrets out.",
            )
        try:
            prompt_dir = await anyio.to_thread.run_sync(write_prompt, spec.slot, spec.prompt)
            secrets_dir = None
            if spec.secrets:
                secrets_dir = await anyio.to_thread.run_sync(self._place_secrets, spec, user)
        except OSError as error:
            raise NotStarted(f"{spec.name}: its prompt or secrets cannot be written: {error}") from error
        return create_body(
            spec,
            prompt_dir=prompt_dir,
            secrets_dir=secrets_dir,
            socket=self._api.socket,
            own_network_id=own_network_id,
            host_gateway=await self._knows_gateway(),
        )

    async def _parkable_body(self, spec: AttemptSpec) -> dict[str, Any]:
        return await self._body(spec, None)

    def _place_secrets(self, spec: AttemptSpec, user: str) -> Path:
        return self._secrets.place(spec.name, spec.secrets, user, owner=spec.owner, run_id=spec.run_id)

    async def _is_remote(self) -> bool:
        if self._info is None:
            await self.probe()
        return is_remote(self._info or {}, self._api.address)

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncIterator[None]:
        """One start or stop of a name at a time: two starts of one spec must not both find it absent."""
        turn = self._names.setdefault(name, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if turn.users == 0:
                self._names.pop(name, None)


class _Turn:
    """A lock and how many hold or await it."""

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.users = 0
