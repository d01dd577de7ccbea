"""A memory driver that parks, as the real one will."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from wavepool.drivers.base import AttemptSpec, Handle, Phase
from wavepool.drivers.memory import MemoryDriver, Script
from wavepool.drivers.parking import Claim, SupportsParking
from wavepool.errors import NotClaimed


class ParkingDriver(MemoryDriver, SupportsParking):
    async def park(self, spec: AttemptSpec) -> Handle:
        await self._reach(f"start/{spec.attempt}")
        await self._pass(self._world.latencies.create_s + self._world.latencies.start_s)
        self._check(spec)
        return self._world.create(spec).handle

    async def claim(self, handle: Handle, claim: Claim) -> None:
        await self._reach(f"claim/{handle.attempt}")
        container = self._world.find(handle)
        if container is None or container.phase is not Phase.CREATED:
            raise NotClaimed(f"{handle.name} had ended")
        container.spec = replace(
            container.spec,
            command=claim.command,
            env={**container.spec.env, **claim.env},
            prompt=claim.prompt,
            secrets=claim.secrets,
            limits=claim.limits or container.spec.limits,
        )
        container.script = Script.parse(claim.command or ("sim",))
        self._world.run(container)

    async def unpark(self, handle: Handle) -> None:
        await self._reach(f"unpark/{handle.attempt}")

    def is_parked(self, handle: Handle) -> bool:
        found = self._world.find(handle)
        return found is not None and found.phase is Phase.CREATED

    def claimed_at(self, slot: Path) -> datetime | None:
        for each in self._world._by_id.values():
            if each.spec.slot == slot and each.started_s is not None:
                return self._world.wall(each.started_s)
        return None

    async def usage(self, handles):
        found = await super().usage(handles)
        for handle in handles:
            each = self._world.find(handle)
            if each is not None and each.phase is Phase.CREATED:
                found[handle] = replace(each.usage(self._world.time_s), memory_bytes=1)
        return found
