"""The side of whoever looks at a live run, pauses or cancels it, or has tasks of it tried again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import anyio

from wavepool.core.facts import Stamped
from wavepool.engine.control.protocol import (
    REPLY_BYTES,
    LineSocket,
    ProtocolError,
    Request,
    code_of,
    refused,
)
from wavepool.engine.control.sockets import connected_to
from wavepool.errors import InfrastructureError
from wavepool.journal.codec import Undecodable
from wavepool.journal.line import BEGINS, from_line
from wavepool.statedir import RunDir

PATIENCE_S = 60.0
"""How long a process that holds a run may take until it listens: it may have a long journal to take up first."""

_PAUSE_S = 0.05


class NobodyHolds(InfrastructureError):
    """No process works on the run.

    Attributes:
        run_id: the run.
    """

    code = "nobody_holds"
    about_fields = ("run_id",)

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"no process works on run {run_id}",
            advice=f"`wavepool resume {run_id}` goes on with it, if it is not over.",
        )
        self.run_id = run_id


class ConnectionCut(InfrastructureError):
    """The process that works on the run, or the connection to it, ended in the middle.

    Attributes:
        run_id: the run.
    """

    code = "connection_cut"
    about_fields = ("run_id",)

    def __init__(self, run_id: str, words: str, *, code: str = "") -> None:
        super().__init__(f"run {run_id} does not answer any more: {words}", code=code)
        self.run_id = run_id


class OlderProcess(InfrastructureError):
    """The process that works on the run is of a release that does not know what is asked of it.

    Attributes:
        run_id: the run.
    """

    code = "older_process"
    about_fields = ("run_id",)

    def __init__(self, run_id: str, pid: object, what: str) -> None:
        super().__init__(
            f"process {pid}, which works on run {run_id}, is of an older release that cannot {what}",
            advice=f"`wavepool cancel {run_id}` drains it, and `wavepool resume {run_id}` goes on by this release.",
        )
        self.run_id = run_id


class Control:
    """A connection to the process that works on a run; made by `open_control`. One request at a time."""

    def __init__(self, run_id: str, connected: LineSocket) -> None:
        self.run_id = run_id
        self._connected = connected

    async def cancel(self, *, force: bool) -> Mapping[str, Any]:
        """Drain the run, or with `force` stop what runs; returns when the run has taken it: `taken`, `facts`.

        Raises:
            ConnectionCut: it ended before it answered.
        """
        return await self._ask(Request(op="cancel", force=force))

    async def pause(self) -> Mapping[str, Any]:
        """Start nothing new until `unpause`: `changed` (it was not paused before), `running`, `facts`.

        Raises:
            NotNow: it is over, or ending.
            OlderProcess, ConnectionCut.
        """
        return await self._order(Request(op="pause"), "pause it")

    async def unpause(self) -> Mapping[str, Any]:
        """Let starts go on: as `pause`."""
        return await self._order(Request(op="unpause"), "pause a run")

    async def cancel_tasks(self, tasks: Sequence[str]) -> Mapping[str, Any]:
        """End these tasks, and let the run go on: `stopped`, `skipped`, `dependents`, `ended` have ids.

        Args:
            tasks: by id, key, or the start of an id that fits no other.

        Raises:
            UnknownTask: one is not of this run.
            NotNow: all of them have ended, or the run has.
            OlderProcess, ConnectionCut.
        """
        return await self._order(Request(op="cancel_tasks", tasks=tuple(tasks)), "cancel single tasks")

    async def retry(self, tasks: Sequence[str] = ()) -> Mapping[str, Any]:
        """Try these again, named as above (none: all that failed): `tasks` and `waiting` have ids, `paused`.

        Raises:
            InputError: one cannot be tried again; UnknownTask where it is none of this run.
            NotNow: nothing has failed, or the run is over or ending.
            OlderProcess, ConnectionCut.
        """
        return await self._order(Request(op="retry", tasks=tuple(tasks)), "try tasks again while it goes on")

    async def status(self) -> Mapping[str, Any]:
        """How far it is: `pid`, `since`, `tasks` by state, `waves` that are open, `memory_held_bytes`, `facts`.

        Raises:
            ConnectionCut: it ended before it answered.
        """
        return await self._ask(Request(op="status"))

    async def follow(self, since: int = 0) -> Following:
        """The facts after number `since`, then those that come, to the end of the run.

        Raises:
            ConnectionCut: it ended before it answered.
        """
        await self._ask(Request(op="follow", since=since))
        return Following(self, since)

    async def receive(self) -> bytes:
        """One more line. Raises ConnectionCut."""
        try:
            data = await self._connected.receive(REPLY_BYTES)
        except (OSError, ProtocolError) as error:
            raise ConnectionCut(self.run_id, str(error)) from error
        if data is None:
            raise ConnectionCut(self.run_id, "the process that worked on it has gone")
        return data

    async def _order(self, request: Request, what: str) -> Mapping[str, Any]:
        """An older process would cut us off for what it does not know."""
        status = await self.status()
        if request.op not in status.get("ops", ()):
            raise OlderProcess(self.run_id, status.get("pid"), what)
        return await self._ask(request)

    async def _ask(self, request: Request) -> Mapping[str, Any]:
        with contextlib.suppress(OSError):  # one that closed has said why before
            await self._connected.send(request.encode())
        return self.checked(await self.receive())

    def checked(self, data: bytes) -> Mapping[str, Any]:
        """A reply. Raises what it refuses with, or ConnectionCut where it says that something is wrong."""
        reply: dict[str, Any] = json.loads(data)
        if reply.get("ok") is False:
            error = refused(reply, self.run_id)
            if error is not None:
                raise error
            raise ConnectionCut(self.run_id, str(reply.get("error")), code=code_of(reply))
        return reply


class Following:
    """Facts with their numbers, in their order; ends with the run.

    Attributes:
        since: number of the last fact that came.
        result: the run's result, as soon as all facts have come.
    """

    def __init__(self, control: Control, since: int) -> None:
        self.since = since
        self.result: Mapping[str, Any] | None = None
        self._control = control

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[int, Stamped]:
        """The next one.

        Raises:
            ConnectionCut: the process that works on the run ended, or cut us off as too slow: go on from `since`.
        """
        if self.result is not None:
            raise StopAsyncIteration
        data = await self._control.receive()
        if data.startswith(BEGINS):
            try:
                self.since, stamped = from_line(data)
            except Undecodable as error:
                raise ConnectionCut(self._control.run_id, str(error)) from error
            return self.since, stamped
        self.result = self._control.checked(data).get("result", {})
        raise StopAsyncIteration


async def until_free(files: RunDir, *, patience_s: float = PATIENCE_S) -> None:
    """Return when no process holds the run, which one that is ending does to its last moment; or after `patience_s`.

    Raises:
        InfrastructureError: the lock cannot be looked at.
    """
    with anyio.move_on_after(patience_s):
        while files.is_live():  # noqa: ASYNC110  a lock of the system, of which nobody tells
            await anyio.sleep(_PAUSE_S)


@asynccontextmanager
async def open_control(files: RunDir, *, patience_s: float = PATIENCE_S) -> AsyncIterator[Control]:
    """A connection to the process that holds the run; one that does not listen yet is waited for.

    Raises:
        NobodyHolds: no process does.
        InfrastructureError: it does not listen within `patience_s`, or we may not connect.
    """
    with anyio.move_on_after(patience_s):
        while True:
            live = files.is_live()  # first: one that ends in between is not live when it is asked about again
            connected = connected_to(files.control)
            if connected is not None:
                break
            if not live:
                raise NobodyHolds(files.id)
            await anyio.sleep(_PAUSE_S)
    if connected is None:
        raise InfrastructureError(
            f"run {files.id} is held by process {files.holder()}, which does not listen on {files.control}",
            advice="It may be of an older release, or its file system may know no sockets: Ctrl-C or SIGTERM ends it.",
        )
    try:
        yield Control(files.id, connected)
    finally:
        connected.close()
