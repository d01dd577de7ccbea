"""The side of the socket that holds the pools: `wavepool serve`, or whoever else has a `ContainerPool` open."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from wavepool.drivers.parking import OutputSink
from wavepool.engine.control.pools.answers import check_order, chunk_lines, logged, result_of, usage_reply
from wavepool.engine.control.pools.outgoing import Outgoing, Room
from wavepool.engine.control.pools.protocol import (
    REQUEST_BYTES,
    PoolRequest,
    TaskOrder,
    check_stop,
    parse_pool_request,
    refusal,
)
from wavepool.engine.control.pools.served import Pools, Served
from wavepool.engine.control.protocol import LineSocket, ProtocolError, line
from wavepool.engine.control.sockets import accepted, listening_on
from wavepool.engine.pools import Stop, TaskExecution
from wavepool.engine.report import stamp
from wavepool.errors import InfrastructureError, InputError, WavepoolError, first_of_ours
from wavepool.model import Limits

CLIENTS_MAX = 1024
"""At once; one more is told so and let go."""

BACKLOG = 256
"""Clients that may wait to be let in; further ones try again by themselves."""

FAREWELL_S = 5.0
"""How long, at the end of the server, clients may take for what they have not read."""

_log = structlog.get_logger(__name__)


class PoolServer:
    """Lets processes of the same user (and root) use pools. Each connection asks for one thing after the other.

    Args:
        pools: open for longer than this serves.
        path: of the socket.
        limits_of: an agent type's limits, for tasks that ask for others.
        heard: told what was done for clients; must not block.
    """

    def __init__(
        self,
        pools: Pools,
        path: Path,
        *,
        limits_of: Callable[[str], Limits],
        heard: Callable[[Served], None] = lambda served: None,
    ) -> None:
        self._pools = pools
        self._path = path
        self._limits_of = limits_of
        self._heard = heard
        self._since = datetime.now(UTC)
        self._room = Room()
        self._clients = 0
        self._busy = 0
        """Clients that wait for an answer, or for the rest of one."""
        self._stops: set[Stop] = set()
        self._ending = False
        self._changed = anyio.Event()

    @property
    def tasks(self) -> int:
        """How many run for clients now."""
        return len(self._stops)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen inside the block. At its end clients that are still there are told so, and their tasks are stopped.

        Raises:
            OSError: the socket cannot be made.
        """
        with listening_on(self._path, backlog=BACKLOG) as listening:
            async with anyio.create_task_group() as group:
                group.start_soon(self._accept, listening, group)
                yield
                group.cancel_scope.cancel()

    async def drained(self) -> None:
        """Take no more tasks; return when those that run have ended, and each client has what became of its own.

        Clients that do not read are waited for no longer than `FAREWELL_S` after the last task.
        """
        self._ending = True
        while self._stops:
            await self._changed.wait()
        with anyio.move_on_after(FAREWELL_S):
            while self._busy:
                await self._changed.wait()

    def stop_all(self) -> None:
        """Take no more tasks, and stop those that run: their clients hear what became of them."""
        self._ending = True
        for stop in self._stops:
            stop.ask()

    # -- connections --

    async def _accept(self, listening: socket.socket, group: TaskGroup) -> None:
        while True:
            group.start_soon(self._serve, await accepted(listening))

    async def _serve(self, client: LineSocket) -> None:
        self._clients += 1
        try:
            if (problem := self._refused(client)) is not None:
                await client.send(refusal(problem))
                return
            while (data := await client.receive(REQUEST_BYTES)) is not None:
                self._busy += 1
                try:
                    await self._answer(client, data)
                finally:
                    self._busy -= 1
                    self._wake()
        except (OSError, _HungUp):
            pass  # it has gone
        except ProtocolError as error:
            client.send_if_room(refusal(_unheard_of(error)))
        except anyio.get_cancelled_exc_class():
            client.send_if_room(refusal(_ends()))
            raise
        finally:
            self._clients -= 1
            client.close()

    def _refused(self, client: LineSocket) -> InfrastructureError | None:
        pid, uid = client.peer()
        if uid not in (0, os.geteuid()):
            _log.warning("client refused", pid=pid, uid=uid)
            return InfrastructureError("these pools belong to another user", code="another_user")
        if self._clients > CLIENTS_MAX:
            return InfrastructureError(f"{CLIENTS_MAX} others are connected already", code="too_many_clients")
        return None

    async def _answer(self, client: LineSocket, data: bytes) -> None:
        """One request. What is wrong with it is told, and ends nothing but it."""
        request = parse_pool_request(data)
        try:
            if request.op == "status":
                reply: Mapping[str, Any] = self.status()
            elif request.op in ("usage", "logs"):
                reply = await self._look(client, request)
            elif self._ending:
                raise _ends()
            elif request.order is not None:
                reply = {"result": await self._run(client, request.order)}
            else:
                reply = await self._unless_gone(client, request)
        except _HungUp:
            raise
        except Exception as error:  # whoever asks for something must never end the pools
            answer = refusal(_ours(error))
            if client.is_torn:
                raise _HungUp from error
            await client.send(answer)
            return
        await client.send(line({"ok": True, **reply}))

    def status(self) -> Mapping[str, Any]:
        """All that there is to know: the pools' own status, and who serves them."""
        serving = {
            "pid": os.getpid(),
            "since": stamp(self._since),
            "socket": str(self._path),
            "ending": self._ending,
            "clients": self._clients,
            "tasks": len(self._stops),
        }
        return {"server": serving, **self._pools.status()}

    async def _look(self, client: LineSocket, request: PoolRequest) -> Mapping[str, Any]:
        """What tasks use, or what one writes, which goes to the client as long as it is there."""
        if request.op == "usage":
            return usage_reply(await self._pools.usage(request.names))
        async with anyio.create_task_group() as group:
            group.start_soon(_until_it_hangs_up, client)
            async with self._pools.output(request.names[0], follow=request.follow) as chunks:
                async for chunk in chunks:
                    for each in chunk_lines(chunk):
                        await client.send(each)
            group.cancel_scope.cancel()
        return {"ended": True}

    # -- upkeep --

    async def _unless_gone(self, client: LineSocket, request: PoolRequest) -> Mapping[str, Any]:
        """Do what is asked for, as long as somebody waits for it."""
        async with anyio.create_task_group() as group:
            group.start_soon(_until_it_hangs_up, client)
            reply = await self._keep(request)
            group.cancel_scope.cancel()
        return reply

    async def _keep(self, request: PoolRequest) -> Mapping[str, Any]:
        name, count = request.agent_type, request.count
        if request.op == "drain":
            await self._pools.drain(None if name is None else [name])
        elif name is not None and request.op == "warm":
            await self._pools.warm([name], count=count)
        elif name is not None and count is not None:
            self._pools.scale(name, count)
        self._heard(Served(kind=_DONE[request.op], agent_type=name, details={"count": count}))
        return self.status()

    # -- tasks --

    async def _run(self, client: LineSocket, order: TaskOrder) -> Mapping[str, Any]:
        """Run it, and send what it writes."""
        check_order(order)
        stop, outgoing = Stop(), Outgoing(self._room)
        self._stops.add(stop)
        self._heard(Served(kind="task_started", agent_type=order.agent_type, details={}))
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_hear_stops, client, stop)
                async with anyio.create_task_group() as sending:
                    if order.stream:
                        sending.start_soon(_send, client, outgoing)
                    result = await self._outcome(order, stop, outgoing)
                group.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            client.close()  # its task may have run: a refusal would say that it had not
            raise
        finally:
            outgoing.drop()
        return result

    async def _outcome(self, order: TaskOrder, stop: Stop, outgoing: Outgoing) -> Mapping[str, Any]:
        details: Mapping[str, Any] = {"verdict": "cancelled", "why": "its client went away"}
        try:
            done = await self._execute(order, stop, outgoing if order.stream else None)
            result = result_of(done, outgoing.cut, with_output=not order.stream)
            details = logged(result)
        except WavepoolError as error:
            details = {"refused": error.message}
            raise
        finally:
            outgoing.close()
            self._stops.discard(stop)
            self._wake()
            self._heard(Served(kind="task_ended", agent_type=order.agent_type, details=details))
        return result

    async def _execute(self, order: TaskOrder, stop: Stop, sink: OutputSink | None) -> TaskExecution:
        return await self._pools.execute(
            order.agent_type,
            order.command,
            env=order.env,
            secrets=order.secrets,
            prompt=order.prompt,
            directory=order.directory,
            workspace=Path(order.workspace) if order.workspace else None,
            limits=order.limits_over(self._limits_of(order.agent_type)) if order.limits else None,
            timeout_s=order.timeout_s,
            grace_s=order.grace_s,
            on_output=sink,
            stop=stop,
            name=order.name,
        )

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class _HungUp(Exception):
    """The client has gone, or speaks out of turn: what it asked for is given up."""


async def _until_it_hangs_up(client: LineSocket) -> None:
    await client.until_readable()
    raise _HungUp


async def _hear_stops(client: LineSocket, stop: Stop) -> None:
    """Heed what the client says while its task runs. One that has gone has its task stopped."""
    while True:
        try:
            data = await client.receive(REQUEST_BYTES)
        except OSError:
            data = None
        if data is None:
            raise _HungUp
        check_stop(data)
        stop.ask()


async def _send(client: LineSocket, outgoing: Outgoing) -> None:
    while (data := await outgoing.next_line()) is not None:
        await client.send(data)


def _ends() -> InfrastructureError:
    words, advice = "the server is ending, and takes nothing new", "Start `wavepool serve` again."
    return InfrastructureError(words, advice=advice, code="server_ending")


def _unheard_of(error: ProtocolError) -> InputError:
    return InputError(str(error), code="bad_request")


def _ours(error: Exception) -> WavepoolError:
    """What goes over the socket. Raises what means that the client has gone."""
    found = first_of_ours(error)
    if isinstance(found, _HungUp | OSError):
        raise _HungUp from error
    if isinstance(found, ProtocolError):
        return _unheard_of(found)
    if isinstance(found, WavepoolError):
        return found
    # As text: a log that shows the variables of each frame would show secrets.
    _log.error("a request failed", problem="".join(traceback.format_exception(error)))
    return InfrastructureError(f"the server failed at it: {found!r}", code="bug")


_DONE = {"warm": "warmed", "scale": "scaled", "drain": "drained"}
