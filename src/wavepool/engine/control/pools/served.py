"""What a server serves, and what it tells its own log of that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wavepool.drivers.base import LogChunk, Usage
from wavepool.drivers.parking import OutputSink
from wavepool.engine.pools import Stop, TaskExecution
from wavepool.model import Limits


class Pools(Protocol):
    """What is served; `wavepool.engine.pools.ContainerPool` has it."""

    async def execute(
        self,
        agent_type: str,
        command: Sequence[str] | None,
        *,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        prompt: str = "",
        directory: str = "",
        workspace: Path | None = None,
        limits: Limits | None = None,
        timeout_s: float | None = None,
        grace_s: float = 10.0,
        on_output: OutputSink | None = None,
        stop: Stop | None = None,
        name: str = "",
    ) -> TaskExecution: ...

    async def usage(self, names: Collection[str]) -> Mapping[str, Usage]: ...

    def output(self, name: str, *, follow: bool) -> AbstractAsyncContextManager[AsyncIterator[LogChunk]]: ...

    async def warm(self, types: Iterable[str] | None = None, *, count: int | None = None) -> None: ...

    def scale(self, agent_type: str, size: int) -> None: ...

    async def drain(self, types: Iterable[str] | None = None) -> None: ...

    def status(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Something that was done for a client, for the server's log.

    Attributes:
        kind: ``task_started``, ``task_ended``, ``warmed``, ``scaled`` or ``drained``.
        agent_type: None for all.
        details: of the kind, ready for JSON; no secret and no variable.
    """

    kind: str
    agent_type: str | None
    details: Mapping[str, Any]
