"""Watching attempts: states, then Synced, then each change.

An end is told by the kernel (a pidfd of the supervisor), a start in this process by `Changes`. What another process
starts or removes is found by a look at the directory once a second; that costs one listing and no file is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from wavepool.drivers.base import Observation, Phase, Scope, Synced
from wavepool.drivers.process.attempts import Attempts, removed_while_running
from wavepool.drivers.process.liveness import ProcessIdentity
from wavepool.drivers.process.records import Records

RESCAN_S = 1.0
WITHOUT_PIDFD_S = 0.05

Send = MemoryObjectSendStream[Observation | Synced]


class Subscription:
    """The names of which there is news since the last look."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._event = anyio.Event()

    def tell(self, name: str) -> None:
        self._names.add(name)
        self._event.set()

    async def wait(self, patience_s: float) -> set[str]:
        """Names with news; empty after `patience_s`."""
        with anyio.move_on_after(patience_s):
            await self._event.wait()
        told, self._names, self._event = self._names, set(), anyio.Event()
        return told


class Changes:
    """Tells every watch of this process that something happened to an attempt."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def tell(self, name: str) -> None:
        for subscription in self._subscriptions:
            subscription.tell(name)

    @contextmanager
    def subscribed(self) -> Iterator[Subscription]:
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)


class Watcher:
    """One watch of one scope."""

    def __init__(self, *, scope: Scope, records: Records, attempts: Attempts, changes: Changes) -> None:
        self._scope = scope
        self._records = records
        self._attempts = attempts
        self._changes = changes
        self._last: dict[str, Observation] = {}
        self._outside: set[str] = set()

    async def run(self, send: Send) -> None:
        """Tell everything; never ends by itself. OSError where the directory cannot be read."""
        with self._changes.subscribed() as news:
            try:
                async with anyio.create_task_group() as group:
                    await self._look_at(self._records.names(), send, group, news)
                    present = frozenset((last.run_id, last.handle.attempt) for last in self._last.values())
                    await send.send(Synced(present=present))
                    scan_at = anyio.current_time() + RESCAN_S
                    while True:
                        names = await news.wait(max(0.0, scan_at - anyio.current_time()))
                        if anyio.current_time() >= scan_at:
                            names |= self._stale()
                            scan_at = anyio.current_time() + RESCAN_S
                        await self._look_at(names, send, group, news)
            except* OSError as errors:
                raise OSError(str(errors.exceptions[0])) from errors

    def _stale(self) -> set[str]:
        """What came, what went, and what was only created when we last looked."""
        names = set(self._records.names())
        self._outside &= names
        waiting = {name for name, last in self._last.items() if last.phase is Phase.CREATED}
        return (names - self._last.keys() - self._outside) | (self._last.keys() - names) | waiting

    async def _look_at(self, names: Iterable[str], send: Send, group: TaskGroup, news: Subscription) -> None:
        wanted = [name for name in names if name not in self._outside]
        if not wanted:
            return
        for name, seen in (await to_thread.run_sync(self._observe_all, wanted)).items():
            last = self._last.get(name)
            if seen is None:
                await self._tell_vanished(name, last, send)
            elif last is None or last.phase is not seen.phase:
                self._last[name] = seen
                if seen.phase is Phase.RUNNING:
                    group.start_soon(self._await_end, name, news)
                await send.send(seen)

    def _observe_all(self, names: list[str]) -> dict[str, Observation | None]:
        return {name: self._attempts.observe(name, self._scope) for name in names}

    async def _tell_vanished(self, name: str, last: Observation | None, send: Send) -> None:
        if last is None:
            self._outside.add(name)
            return
        del self._last[name]
        if last.ending is None:
            await send.send(removed_while_running(last))

    async def _await_end(self, name: str, news: Subscription) -> None:
        supervisor = self._attempts.supervisor(name)
        if supervisor is not None:
            await ended(supervisor)
        news.tell(name)


async def ended(process: ProcessIdentity) -> None:
    """Return when `process` has ended; without pidfds by looking every 50 ms."""
    try:
        fd = process.open_pidfd()
    except OSError:
        while process.is_alive():  # noqa: ASYNC110 - nothing here could set an event
            await anyio.sleep(WITHOUT_PIDFD_S)
        return
    if fd is not None:
        try:
            await anyio.wait_readable(fd)
        finally:
            os.close(fd)
    process.reap()
