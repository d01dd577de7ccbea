"""A driver whose attempts run in the parked containers of `wavepool serve`, each claimed with its prompt and workspace.

What it started ends with it: a server stops the task of a client that has gone. So after a crash nothing of an attempt
is found, and the mark in its slot keeps it from being run again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from wavepool.drivers.base import (
    AttemptSpec,
    Driver,
    DriverFacts,
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
from wavepool.drivers.start_mark import make_mark, vanished
from wavepool.engine.control.pools.attempts import PooledAttempt, ending_of, order_of
from wavepool.engine.control.pools.client import NoServer, ServerGone, open_client
from wavepool.errors import (
    DriverUnavailable,
    InfrastructureError,
    InputError,
    NoSuchAttempt,
    NotStarted,
    Unknown,
    WavepoolError,
)
from wavepool.model import Ending, Evidence, Handle, Node, PoolSettings, Resources, VerdictKind
from wavepool.statedir import ServerPlace

PREFIX = "pool:"
"""Of its name, before the agent type."""

STOP_S = 30.0
"""Beyond its grace, how long a stop may take."""
CAPACITY_BYTES = 1 << 50
"""Memory is the server's to count."""
USUAL = PoolSettings().max_size
_QUEUE_MAX = 1_000_000
"""States that wait for a reader: each attempt has two, so that no run comes near it."""


class PoolDriver(Driver):
    """Attempts in the pool of one agent type.

    Args:
        place: of the server.
        agent_type: whose pool.
        grace_s: between SIGTERM and SIGKILL of what is stopped.
    """

    def __init__(self, place: ServerPlace, agent_type: str, *, grace_s: float = 10.0) -> None:
        self.name = f"{PREFIX}{agent_type}"
        self._place = place
        self._agent_type = agent_type
        self._grace_s = grace_s
        self._attempts: dict[str, PooledAttempt] = {}
        self._watches: set[_Watch] = set()
        self._stack = AsyncExitStack()
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._group = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._group is not None:
            self._group.cancel_scope.cancel()
        await self._stack.__aexit__(None, None, None)

    async def probe(self) -> DriverFacts:
        """Ask the server. Raises DriverUnavailable where there is none."""
        status = await self._status()
        contained = status.get("driver") != "process"
        return DriverFacts(
            driver=self.name,
            version=f"served by process {status['server']['pid']}",
            execution_mode="docker" if contained else "subprocess",
            nodes=(Node(name="pool", capacity=Resources(memory_bytes=CAPACITY_BYTES)),),
            remote=True,
        )

    async def prepare(self, needs: Needs, progress: PullProgress | None = None) -> Prepared:
        """Nothing: images and networks are the pool's."""
        return Prepared()

    async def start(self, spec: AttemptSpec) -> Handle:
        """Ask for it, once; whether it ran in a parked container or a cold one is told in its end."""
        known = self._attempts.get(spec.name)
        if known is not None:
            return known.handle
        if spec.commands or spec.sidecars or spec.command is None:
            raise NotStarted(f"{spec.name}: a parked container runs one command, without sidecars")
        try:
            fresh = await anyio.to_thread.run_sync(make_mark, spec.slot)
        except OSError as error:
            raise NotStarted(f"{spec.slot} cannot be written to: {error.strerror}") from error
        if not fresh:
            raise vanished(spec)
        handle = Handle(driver=self.name, id=spec.name, name=spec.name, attempt=spec.attempt)
        attempt = PooledAttempt(handle=handle, spec=spec, started_at=datetime.now(UTC))
        self._attempts[spec.name] = attempt
        self._tell(attempt)
        assert self._group is not None, "a driver is used inside its context"
        self._group.start_soon(self._run, attempt)
        return handle

    @asynccontextmanager
    async def watch(self, scope: Scope) -> AsyncIterator[AsyncIterator[Observation | Synced]]:
        """States, then Synced, then each change. What another process had started is not there any more."""
        watch = _Watch(scope)
        for attempt in self._attempts.values():
            watch.tell(attempt)
        present = frozenset((each.spec.run_id, each.spec.attempt) for each in self._within(scope))
        watch.put(Synced(present=present))
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)
            watch.close()

    @asynccontextmanager
    async def logs(
        self, handle: Handle, since: datetime | None = None, *, follow: bool = True
    ) -> AsyncIterator[AsyncIterator[LogChunk]]:
        """All that is kept of its output, whatever `since` says: pieces carry no time. What another process has started
        is asked of the server, as long as it runs.

        Raises:
            NoSuchAttempt: it has not begun yet, or has ended.
            DriverUnavailable: the server, or its engine, went away.
        """
        known = self._attempts.get(handle.name)
        if known is not None:
            yield known.output(follow=follow)
            return
        try:
            async with open_client(self._place) as client:
                yield client.output(handle.name, follow=follow)
        except ServerGone as error:
            raise DriverUnavailable(error.message, advice=error.advice) from error
        except (NoServer, InputError) as error:  # or one of an earlier release, which knows no such question
            raise NoSuchAttempt(f"{handle.name}: {error.message}") from error

    async def usage(self, handles: Collection[Handle]) -> dict[Handle, Usage]:
        """As the server reads it, of whoever's attempts run in its pools. Raises DriverUnavailable."""
        by_name = {handle.name: handle for handle in handles}
        try:
            async with open_client(self._place) as client:
                found = await client.usage(by_name)
        except (NoServer, InputError):
            return {}
        except ServerGone as error:
            raise DriverUnavailable(error.message, advice=error.advice) from error
        return {by_name[name]: usage for name, usage in found.items() if name in by_name}

    async def stop(self, handle: Handle, grace_s: float) -> None:
        """Have the server stop it. Raises Unknown where it does not tell of the end in time."""
        attempt = self._attempts.get(handle.name)
        if attempt is None:
            return
        with anyio.move_on_after(self._grace_s + STOP_S):
            await attempt.connected.wait()
            if attempt.client is not None:
                await attempt.client.stop()
            await attempt.ended.wait()
            return
        raise Unknown(f"{handle.name}: the server has not said that it ended")

    async def remove(self, target: Scope | Handle) -> Removed:
        """Forget what has ended; what runs is stopped first. Its container is the server's to remove."""
        chosen = self._within(target) if isinstance(target, Scope) else [self._attempts.get(target.name)]
        gone: list[str] = []
        for attempt in chosen:
            if attempt is not None:
                await self.stop(attempt.handle, self._grace_s)
                self._attempts.pop(attempt.handle.name, None)
                gone.append(attempt.handle.name)
        return Removed(containers=tuple(gone))

    async def places(self) -> int:
        """How many containers the pool has at most; of one that is not open yet, what it has where nobody said more.

        Raises:
            DriverUnavailable: there is no server.
        """
        pools = (await self._status())["pools"]
        return next((int(each["max_size"]) for each in pools if each["agent_type"] == self._agent_type), USUAL)

    # -- inside --

    async def _status(self) -> Any:
        try:
            async with open_client(self._place) as client:
                return await client.status()
        except InfrastructureError as error:
            raise DriverUnavailable(error.message, advice=error.advice) from error

    async def _run(self, attempt: PooledAttempt) -> None:
        """To its end; what goes wrong is in that."""
        try:
            async with open_client(self._place) as client:
                attempt.client = client
                attempt.connected.set()
                result = await client.run(order_of(attempt.spec, self._agent_type, self._grace_s), attempt.hear)
                attempt.miss(client.cut)
            ending = ending_of(result)
        except ServerGone as error:
            ending = _ending(VerdictKind.LOST, f"{error.message}: whether it ended is not known")
        except WavepoolError as error:  # it was refused, or there is no server any more
            ending = _ending(VerdictKind.START_ERROR, str(error))
        finally:
            attempt.client = None
        attempt.end(replace(ending, started_at=ending.started_at or attempt.started_at))
        self._tell(attempt)

    def _within(self, scope: Scope) -> list[PooledAttempt]:
        return [each for each in self._attempts.values() if _reaches(scope, each.spec)]

    def _tell(self, attempt: PooledAttempt) -> None:
        for watch in self._watches:
            watch.tell(attempt)


class _Watch:
    """The states that one reader has not had yet."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._send, self._receive = anyio.create_memory_object_stream[Observation | Synced](_QUEUE_MAX)

    def tell(self, attempt: PooledAttempt) -> None:
        if _reaches(self._scope, attempt.spec):
            self.put(attempt.observation())

    def put(self, item: Observation | Synced) -> None:
        self._send.send_nowait(item)

    def close(self) -> None:
        self._send.close()
        self._receive.close()

    def __aiter__(self) -> AsyncIterator[Observation | Synced]:
        return self

    async def __anext__(self) -> Observation | Synced:
        return await self._receive.receive()


def _reaches(scope: Scope, spec: AttemptSpec) -> bool:
    return (
        scope.owner == spec.owner
        and scope.run_id in (None, spec.run_id)
        and scope.wave in (None, spec.wave)
        and scope.detached is not True
    )


def _ending(kind: VerdictKind, reason: str) -> Ending:
    return Ending(kind=kind, evidence=Evidence(reason=reason), finished_at=datetime.now(UTC))
