"""The containers of this owner, as the seed's WebSocket shows them: looked at when somebody asks, once for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from wavepool import labels
from wavepool.drivers.docker.remains.sights import ContainerSight, ContainerUse, DockerSights
from wavepool.engine.report import stamp
from wavepool.errors import DriverUnavailable, InputError
from wavepool.monitoring.documents.seed import DetailedStats, HostPort, SeedContainer, SeedStats
from wavepool.statedir import StateDir

MEASURED = 100
"""Containers whose use and last lines are looked at; the newest."""

AT_ONCE = 6
"""Questions to the engine at a time."""

FRESH_S = 1.0
"""Who asks within so long of the last look gets what that found."""

BETWEEN_S, STALE_S = 0.5, 60.0
"""CPU is measured between two readings: the last one where it is not older than that, else one is made before."""

RECENT_LINES, LOG_LINES = 10, 200
LINE_CHARACTERS = 500
LOG_BYTES = 64 * 1024
"""Of what is given of a container's output; the whole of it is at ``/ws/log`` and under ``/api``."""

FAILED_STATES = ("dead",)


class UnknownContainer(InputError):
    """This owner has no container of that name."""

    code = "unknown_container"


class OwnContainers:
    """Use it as an async context manager: leaving closes its connections.

    Args:
        state_dir: whose containers.
        sights: of the engine; closed with this.
        clock: seconds.
    """

    def __init__(
        self, state_dir: StateDir, *, sights: DockerSights | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._state_dir = state_dir
        self._clock = clock
        self._sights = sights or DockerSights()
        self._listed: list[ContainerSight] = []
        self._listed_s = -FRESH_S
        self._shown: dict[str, SeedContainer] = {}
        self._shown_s = -FRESH_S
        self._uses: dict[str, ContainerUse] = {}
        self._listing, self._showing = anyio.Lock(), anyio.Lock()
        self._engine = anyio.CapacityLimiter(AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._sights.__aexit__()

    async def ids(self) -> frozenset[str]:
        """Ids of all. Raises InfrastructureError."""
        return frozenset(each.id for each in await self._list())

    async def shown(self) -> dict[str, SeedContainer]:
        """All by name, measured. Raises InfrastructureError."""
        async with self._showing:
            if self._clock() - self._shown_s >= FRESH_S:
                self._shown = await self._look()
                self._shown_s = self._clock()
            return self._shown

    async def logs(self, name: str) -> str:
        """The end of its output: `LOG_LINES` lines, and `LOG_BYTES` bytes, at most.

        Raises:
            UnknownContainer: none of ours has this name.
            InfrastructureError: the engine cannot be asked.
        """
        sight = await self._of(name)
        async with self._engine:
            words = await self._sights.last_words(sight.id, LOG_LINES)
        return words[-LOG_BYTES:].decode("utf-8", "replace")

    async def stats(self, name: str) -> DetailedStats:
        """What it uses; all 0 where it does not run. Raises as `logs`."""
        sight = await self._of(name)
        before, now = await self._two_readings(sight)
        if before is None or now is None:
            now = before = _NOTHING
        limit = now.memory_limit_bytes
        return DetailedStats(
            **_stats(before, now),
            memory_percent=round(100 * now.memory_bytes / limit, 2) if limit else 0.0,
            pids=now.pids,
            block_read=now.read_bytes,
            block_write=now.written_bytes,
        )

    async def _list(self) -> list[ContainerSight]:
        async with self._listing:
            if self._clock() - self._listed_s >= FRESH_S:
                owner = await anyio.to_thread.run_sync(self._state_dir.owner)
                self._listed = await self._sights.containers(owner)
                self._listed_s = self._clock()
            return self._listed

    async def _of(self, name: str) -> ContainerSight:
        for each in await self._list():
            if each.name == name:
                return each
        raise UnknownContainer(
            f"there is no container {name[:100]!r} of this owner", advice="`containers` of a status has the names."
        )

    async def _look(self) -> dict[str, SeedContainer]:
        sights = await self._list()
        found = {sight.name: _entry(sight) for sight in sights}
        async with anyio.create_task_group() as group:
            for sight in sights[:MEASURED]:
                group.start_soon(self._measure, sight, found[sight.name])
        known = {sight.id for sight in sights}
        self._uses = {key: use for key, use in self._uses.items() if key in known}
        return found

    async def _measure(self, sight: ContainerSight, entry: SeedContainer) -> None:
        """What cannot be read of one, as it is being removed, is left out, and hides no other."""
        with suppress(DriverUnavailable):
            await self._measure_one(sight, entry)

    async def _measure_one(self, sight: ContainerSight, entry: SeedContainer) -> None:
        before, now = await self._two_readings(sight)
        if before is not None and now is not None:
            entry["stats"] = _stats(before, now)
        known = self._shown.get(sight.name)
        if known is not None and sight.state == "exited" == known["status"] and known["id"] == sight.id:
            entry["recent_logs"] = known.get("recent_logs", [])
            return
        async with self._engine:
            words = await self._sights.last_words(sight.id, RECENT_LINES)
        entry["recent_logs"] = _lines(words)

    async def _two_readings(self, sight: ContainerSight) -> tuple[ContainerUse | None, ContainerUse | None]:
        """The last reading and one of now, where it runs."""
        if sight.state != "running":
            return None, None
        before = self._uses.get(sight.id)
        if before is None or (datetime.now(UTC) - before.at).total_seconds() > STALE_S:
            before = await self._use(sight)
            await anyio.sleep(BETWEEN_S)
        now = await self._use(sight)
        if now is not None:
            self._uses[sight.id] = now
        return before, now

    async def _use(self, sight: ContainerSight) -> ContainerUse | None:
        async with self._engine:
            return await self._sights.use(sight.id)


def has_failed(entry: SeedContainer) -> bool:
    """Whether it has ended, and not well."""
    return entry["status"] in FAILED_STATES or (entry["status"] == "exited" and entry.get("exit_code", 0) != 0)


def _entry(sight: ContainerSight) -> SeedContainer:
    entry = SeedContainer(
        id=sight.id,
        name=sight.name,
        status=sight.state,
        created=stamp(sight.created_at) or "",
        image=sight.image,
        labels=dict(sight.labels),
        ports={
            name: [HostPort(HostIp=address, HostPort=port) for address, port in at] for name, at in sight.ports.items()
        },
        task_id=sight.labels.get(labels.TASK, ""),
        updated_at=stamp(datetime.now(UTC)) or "",
    )
    if sight.exit_code is not None:
        entry["exit_code"] = sight.exit_code
    return entry


def _stats(before: ContainerUse, now: ContainerUse) -> SeedStats:
    took_s = (now.at - before.at).total_seconds()
    return SeedStats(
        cpu_percent=round(100 * max(0.0, now.cpu_s - before.cpu_s) / took_s, 2) if took_s > 0 else 0.0,
        memory_usage=now.memory_bytes,
        memory_limit=now.memory_limit_bytes,
        network_rx=now.received_bytes,
        network_tx=now.sent_bytes,
    )


def _lines(words: bytes) -> list[str]:
    lines: Sequence[str] = words.decode("utf-8", "replace").split("\n")
    return list(_cut(lines[:-1] if lines and not lines[-1] else lines))[-RECENT_LINES:]


def _cut(lines: Iterable[str]) -> Iterable[str]:
    return (line if len(line) <= LINE_CHARACTERS else line[: LINE_CHARACTERS - 1] + "…" for line in lines)


_NOTHING = ContainerUse(
    at=datetime.fromtimestamp(0, UTC),
    cpu_s=0.0,
    memory_bytes=0,
    memory_limit_bytes=0,
    pids=0,
    received_bytes=0,
    sent_bytes=0,
    read_bytes=0,
    written_bytes=0,
)
