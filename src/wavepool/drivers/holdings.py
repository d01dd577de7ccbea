"""All that an owner holds of an engine, whatever its part: what `wavepool recover` looks over and takes away.

The driver contract speaks of attempts. Sidecars, shells that look into kept file systems, stacks, networks and secrets
are told here, each with the labels that say whose it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime

from wavepool.drivers.base import LogChunk


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldContainer:
    """A container, or the process of an attempt without one.

    Attributes:
        driver: name of the driver whose engine has it.
        running: it runs now.
        started: it runs, or has run: there may be output of it.
        since: when it last changed as far as is known: its end, else its start, else its creation. Aware UTC.
    """

    driver: str
    id: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    running: bool
    started: bool
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldNetwork:
    """A network of ours. `users` are the ids of all containers that refer to it, whoever made them."""

    id: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    users: frozenset[str] = frozenset()
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSecrets:
    """The secrets of one attempt, in memory of this host. `name` is that of its container."""

    name: str
    run_id: str
    since: datetime


class Holdings(ABC):
    """One engine, as an owner's recovery sees it.

    Every method raises DriverUnavailable where the engine cannot be reached.
    """

    driver: str
    """The driver's name."""

    @abstractmethod
    async def containers(self, owner: str) -> tuple[HeldContainer, ...]:
        """All that carry this owner's label, in whatever state."""

    @abstractmethod
    async def networks(self, owner: str) -> tuple[HeldNetwork, ...]:
        """All that carry this owner's label."""

    @abstractmethod
    async def secrets(self, owner: str) -> tuple[HeldSecrets, ...]:
        """All that were put down for this owner's attempts; needs no engine."""

    @abstractmethod
    def output(self, container: HeldContainer) -> AbstractAsyncContextManager[AsyncIterator[LogChunk]]:
        """All that it has written so far.

        Raises:
            NoSuchAttempt: nothing of it exists any more.
        """

    @abstractmethod
    async def stop(self, container: HeldContainer, grace_s: float) -> None:
        """End it: SIGTERM, and SIGKILL after `grace_s`. One that has ended, or is gone, is no error.

        Raises:
            Unknown: whether it has ended is not known.
        """

    @abstractmethod
    async def remove(self, container: HeldContainer) -> str:
        """Remove it with its anonymous volumes and its secrets. An empty text, or why it is still there."""

    @abstractmethod
    async def remove_network(self, network: HeldNetwork) -> str:
        """Remove it unless something refers to it. An empty text, or why it is still there."""

    @abstractmethod
    async def discard(self, secrets: HeldSecrets) -> str:
        """Delete them. An empty text, or why they are still there."""
