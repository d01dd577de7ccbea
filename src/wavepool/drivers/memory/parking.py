"""Parking on a simulated engine: containers that wait for one driver's word, and end where that driver does."""

from __future__ import annotations

import re
from dataclasses import replace

from wavepool.drivers.base import AttemptSpec, Handle
from wavepool.drivers.memory.containers import Container
from wavepool.drivers.memory.hazards import Fault
from wavepool.drivers.memory.world import MemoryWorld
from wavepool.drivers.parking import Claim
from wavepool.errors import CannotPark, InputError, NotClaimed, NotStarted, Unknown

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
SHELL_LESS = "shell-less"
"""Images whose reference starts with this have no shell."""


class Parked:
    """What one driver holds of a world's parked containers."""

    def __init__(self, world: MemoryWorld) -> None:
        self._world = world
        self._held: dict[str, Container] = {}

    def check(self, spec: AttemptSpec) -> None:
        """Raise CannotPark, or NotStarted where an attempt is not there to be parked."""
        if spec.image.startswith(SHELL_LESS) or spec.sidecars or self._strikes(Fault.PARK_IMPOSSIBLE, spec):
            raise CannotPark(f"{spec.name} cannot be parked")
        if self._world.has_run(spec):
            raise NotStarted(f"{spec.name} cannot be parked: it runs, or ran, already")

    def hold(self, container: Container) -> None:
        """It waits from now on, for this driver."""
        container.waits = True
        self._held[container.spec.name] = container
        self._world.changed(container)

    def held(self, name: str) -> Container | None:
        """The container of this name, if it still waits for us."""
        found = self._held.get(name)
        return found if found is not None and found.exists and found.waits else None

    def take(self, name: str) -> Container | None:
        """The same, at its claim: nobody else gets it after that. None too where it dies of it."""
        found = self.held(name)
        self._held.pop(name, None)
        if found is not None and self._strikes(Fault.PARKED_DIES, found.spec):
            self._world.end_waiting(found)
            return None
        return found

    def claim(self, handle: Handle, claim: Claim) -> None:
        """Run what the claim says. Raises NotClaimed, Unknown, InputError."""
        _check(claim)
        container = self.take(handle.name)
        if container is None:
            raise NotClaimed(f"{handle.name} is not parked, or ended: nothing ran in it")
        if self._strikes(Fault.CLAIM_CUT_BEFORE, container.spec):
            self._world.end_waiting(container)
            raise Unknown(f"the claim of {handle.name} was cut off")
        told = replace(
            container.spec,
            command=claim.command,
            env={**container.spec.env, **claim.env},
            secrets=claim.secrets,
            prompt=claim.prompt,
            limits=claim.limits or container.spec.limits,
            directory=claim.directory,
        )
        self._world.tell_late(container, told)
        self._world.run(container)
        if self._strikes(Fault.CLAIM_CUT_AFTER, container.spec):
            raise Unknown(f"the claim of {handle.name} was cut off")

    def release(self, name: str) -> None:
        """It reads the end of its stdin, and ends."""
        held = self._held.pop(name, None)
        if held is not None and held.waits:
            self._world.end_waiting(held)

    def release_all(self) -> None:
        for name in list(self._held):
            self.release(name)

    def _strikes(self, fault: Fault, spec: AttemptSpec) -> bool:
        return self._world.hazards.strikes(fault, f"{spec.run_id}/{spec.attempt}")


def _check(claim: Claim) -> None:
    for name, value in claim.env.items():
        if not _NAME.fullmatch(name) or "\0" in value:
            raise InputError(f"the variable {name!r} cannot be set through a shell")
    if claim.command is not None and (not claim.command or any("\0" in word for word in claim.command)):
        raise InputError("the command cannot be told to a shell")
