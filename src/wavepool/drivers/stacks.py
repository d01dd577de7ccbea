"""Drivers that keep development stacks: the power, and what a stack is to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from wavepool.drivers.base import OwnNetwork, Removed, SidecarSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSpec:
    """All that a driver needs for a development stack. Dependencies come first in `services`."""

    owner: str
    name: str
    network: OwnNetwork
    services: tuple[SidecarSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """A port of a service (`target`) as the host has it."""

    target: int
    protocol: str
    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """One service of a stack as it is now.

    Attributes:
        name: of the service.
        container: name of its container.
        state: the engine's word: created, running, exited, ...
        health: the engine's word, None where it has no health check.
        exit_code: of one that has ended.
        ports: that are published now.
        spec_hash: of what it was made from.
    """

    name: str
    container: str
    image: str
    state: str
    health: str | None = None
    exit_code: int | None = None
    ports: tuple[PublishedPort, ...] = ()
    spec_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackChange:
    """What `stack_up` did: names of the services that it made, made anew, started again, left as they were, removed."""

    created: tuple[str, ...] = ()
    recreated: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class SupportsStacks(ABC):
    """A driver that keeps development stacks: sidecars without a task, which no run owns and no scope reaches."""

    @abstractmethod
    async def stack_up(self, spec: StackSpec, grace_s: float) -> StackChange:
        """Make it as the spec says, and wait until each service is ready. Safe to repeat.

        What runs and agrees with the spec is left alone. What does not is stopped, removed and made again.

        Raises:
            NotStarted: a service did not become ready; what was started stays.
            Unknown: a call was cut off.
            DriverUnavailable: the engine cannot be reached.
        """

    @abstractmethod
    async def stack_state(self, owner: str, name: str) -> tuple[ServiceState, ...]:
        """Each service that has a container, by name. Raises DriverUnavailable."""

    @abstractmethod
    async def stack_down(self, owner: str, name: str, grace_s: float) -> Removed:
        """Stop and remove its containers and its network. Raises DriverUnavailable."""
