"""One attempt of a run that a server's pool runs for us: its state, and its output as far as it came."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import anyio

from wavepool.drivers.base import AttemptSpec, LogChunk, Observation, Phase
from wavepool.engine.control.pools.client import PoolClient
from wavepool.engine.control.pools.protocol import TaskOrder
from wavepool.model import Ending, Evidence, Handle, VerdictKind

_READINGS = {each.name for each in fields(Evidence)} - {"stop_reason", "sidecars", "rule"}
_ENDINGS = (VerdictKind.SUCCESS, VerdictKind.OOM, VerdictKind.LOST, VerdictKind.START_ERROR)
TOO_SLOW = "it was not read in time"


@dataclass(slots=True, kw_only=True)
class PooledAttempt:
    """One attempt.

    Attributes:
        spec: what was asked for.
        client: the connection that it runs over; None before and after.
        phase, started_at, ending: as an observation has them.
        connected: set once there is a connection, or never will be.
    """

    handle: Handle
    spec: AttemptSpec
    client: PoolClient | None = None
    phase: Phase = Phase.RUNNING
    started_at: datetime | None = None
    ending: Ending | None = None
    connected: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    _chunks: deque[LogChunk] = field(default_factory=deque)
    _first: int = 0
    """Number of the oldest chunk that is kept; chunks are numbered from 0."""
    _kept_bytes: int = 0
    _more: anyio.Event = field(default_factory=anyio.Event)

    def observation(self) -> Observation:
        """Its state now."""
        return Observation(
            handle=self.handle,
            run_id=self.spec.run_id,
            wave=self.spec.wave,
            phase=self.phase,
            started_at=self.started_at,
            ending=self.ending,
            labels=self.spec.labels,
        )

    def end(self, ending: Ending) -> None:
        """It has ended, and so has its output."""
        self.phase, self.ending = Phase.EXITED, ending
        self.connected.set()
        self.ended.set()
        self._wake()

    async def hear(self, stream: str, data: bytes) -> None:
        """A piece of output; beyond the limit the oldest one goes."""
        if not data:
            return
        self._chunks.append(LogChunk(stream=stream, data=data))
        self._kept_bytes += len(data)
        while self._kept_bytes > self.spec.log_limit_bytes and len(self._chunks) > 1:
            self._kept_bytes -= len(self._chunks.popleft().data)
            self._first += 1
        self._wake()

    def miss(self, cut: Mapping[str, int]) -> None:
        """The server left this much out."""
        for stream, size in cut.items():
            if size:
                self._chunks.append(LogChunk(stream=stream, data=b"", gap=True, gap_reason=f"{size} bytes: {TOO_SLOW}"))

    async def output(self, *, follow: bool) -> AsyncIterator[LogChunk]:
        """All that is kept of it; with `follow` to its end."""
        number = 0
        while True:
            more = self._more
            if number < self._first:
                number = self._first
                yield LogChunk(stream="stdout", data=b"", gap=True)
            for chunk in self._newest(self._first + len(self._chunks) - number):
                number += 1
                yield chunk
            if self.phase is not Phase.RUNNING or not follow:
                if number >= self._first + len(self._chunks):
                    return
                continue
            await more.wait()

    def _newest(self, count: int) -> list[LogChunk]:
        """So many, in their order. The others are not touched: this is asked for each piece that comes."""
        found = list(islice(reversed(self._chunks), count))
        found.reverse()
        return found

    def _wake(self) -> None:
        self._more.set()
        self._more = anyio.Event()


def order_of(spec: AttemptSpec, agent_type: str, grace_s: float) -> TaskOrder:
    """What a pool is asked for, with the attempt's workspace moved into it; limits and image are the pool's own."""
    return TaskOrder(
        agent_type=agent_type,
        command=spec.command,
        env=spec.env,
        secrets=spec.secrets,
        prompt=spec.prompt,
        workspace=str(spec.workspace),
        grace_s=grace_s,
        name=spec.name,
    )


def ending_of(result: Mapping[str, Any]) -> Ending:
    """How it ended, as a driver tells it: the reason of a stop of ours is the core's to say."""
    kind = VerdictKind(result["verdict"])
    evidence = {name: value for name, value in result["evidence"].items() if name in _READINGS}
    if kind is VerdictKind.TIMEOUT:
        evidence["reason"] = "the pool's own timeout stopped it"
    return Ending(
        kind=kind if kind in _ENDINGS else VerdictKind.FAILED,
        evidence=Evidence(**{"exit_code": result["exit_code"], **evidence}),
        started_at=_time(result["started_at"]),
        finished_at=_time(result["finished_at"]),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
