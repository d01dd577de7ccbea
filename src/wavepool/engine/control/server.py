"""The control socket of a run, served by the process that works on it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from wavepool.core.facts import Stamped
from wavepool.core.state import RunState
from wavepool.engine.asking import over
from wavepool.engine.control.orders import ORDERS, Decider, ordered
from wavepool.engine.control.protocol import (
    OPS,
    REQUEST_BYTES,
    LineSocket,
    ProtocolError,
    Request,
    line,
    parse_request,
    refusal,
)
from wavepool.engine.control.sockets import accepted, listening_on
from wavepool.engine.listener import Listener
from wavepool.engine.preparing import Preparation
from wavepool.engine.report import stamp
from wavepool.errors import JournalError, WavepoolError
from wavepool.journal.line import to_line
from wavepool.journal.reading import JournalReader
from wavepool.statedir import RunDir

CLIENTS_MAX = 64
"""At once; one more is told so and let go."""

FOLLOWERS_MAX = 16
"""Of them: fewer, so that those who look on never keep out who wants to cancel."""

PIECE = 200
"""Facts that are read from the journal at a time, for each follower. More never wait in memory for one that is slow."""

TAKEN_S = 30.0
"""How long a cancel waits for the run to have taken it."""

FAREWELL_S = 5.0
"""How long, after the end of the run, a follower may take for what it has not read; then it is cut off."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """How the run is steered: `interrupt(force)` is what a cancel calls, `ask` has all else decided.

    `preparation` makes ready what tasks need that are tried again; None where nothing is to be.
    """

    interrupt: Callable[[bool], None]
    ask: Decider
    preparation: Preparation | None = None


class ControlServer(Listener):
    """Lets processes of the same user (and root) look at a run, and steer it: cancel, pause, retry.

    Followers are led through the journal at their own speed, and woken when there is more: none makes the run wait,
    and none costs more than one piece of memory.

    Args:
        files: the run's directory; this process holds its lock.
    """

    def __init__(self, files: RunDir) -> None:
        self._files = files
        self._reader = JournalReader(files.journal, run_id=files.id)
        self._since = datetime.now(UTC)
        self._changed = anyio.Event()
        self._result: Callable[[], Mapping[str, Any]] | None = None
        self._clients = 0
        self._followers = 0

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        self._wake()

    @asynccontextmanager
    async def serving(self, state: RunState, hands: Hands) -> AsyncIterator[None]:
        """Listen inside the block; `state` is only read.

        Raises:
            OSError: the socket cannot be made.
        """
        with listening_on(self._files.control, backlog=CLIENTS_MAX) as listening:
            async with anyio.create_task_group() as group:
                group.start_soon(self._accept, listening, state, hands, group)
                yield
                group.cancel_scope.cancel()

    async def finish(self, result: Callable[[], Mapping[str, Any]]) -> None:
        """The run is over: followers get what they have not read, and the result; those that take too long do not."""
        self._result = result
        self._wake()
        with anyio.move_on_after(FAREWELL_S):
            while self._followers:
                await self._changed.wait()

    async def _accept(self, listening: socket.socket, state: RunState, hands: Hands, group: TaskGroup) -> None:
        while True:
            group.start_soon(self._serve, await accepted(listening), state, hands)

    async def _serve(self, client: LineSocket, state: RunState, hands: Hands) -> None:
        self._clients += 1
        try:
            refusal = self._refusal(client)
            if refusal is not None:
                await client.send(_cut_off(*refusal))
                return
            while (data := await client.receive(REQUEST_BYTES)) is not None:
                await self._answer(client, parse_request(data), state, hands)
        except ProtocolError as error:
            with contextlib.suppress(OSError):
                await client.send(_cut_off("bad_request", str(error)))
        except OSError:
            pass  # it has gone
        except Exception as error:  # whoever looks at a run must never end it
            _log.exception("control request failed")
            with contextlib.suppress(OSError):
                await client.send(_cut_off("bug", str(error)))
        finally:
            self._clients -= 1
            client.close()

    def _refusal(self, client: LineSocket) -> tuple[str, str] | None:
        pid, uid = client.peer()
        if uid not in (0, os.geteuid()):
            _log.warning("control refused", pid=pid, uid=uid)
            return "another_user", "this run belongs to another user"
        if self._clients > CLIENTS_MAX:
            return "too_many_clients", f"{CLIENTS_MAX} others are connected already"
        return None

    async def _answer(self, client: LineSocket, request: Request, state: RunState, hands: Hands) -> None:
        if request.op == "status":
            await client.send(line({"ok": True, **self._status(state)}))
        elif request.op == "cancel":
            hands.interrupt(request.force)
            taken = await self._until_taken(state, force=request.force)
            await client.send(line({"ok": True, "taken": taken, "facts": self._reader.committed()}))
        elif request.op in ORDERS:
            await self._order(client, request, state, hands)
        elif self._followers >= FOLLOWERS_MAX:
            await client.send(_cut_off("too_many_clients", f"{FOLLOWERS_MAX} others follow it already"))
        else:
            await client.send(line({"ok": True}))
            await self._lead(client, request.since)

    async def _order(self, client: LineSocket, request: Request, state: RunState, hands: Hands) -> None:
        try:
            reply = await ordered(request, state, hands.ask, hands.preparation)
        except WavepoolError as error:
            await client.send(refusal(error))
            return
        except anyio.get_cancelled_exc_class():
            if state.outcome is not None:  # it ended over a pull
                client.send_if_room(refusal(over(state)))
            raise
        await client.send(line({"ok": True, "pid": os.getpid(), **reply, "facts": self._reader.committed()}))

    async def _until_taken(self, state: RunState, *, force: bool) -> bool:
        course = state.course
        with anyio.move_on_after(TAKEN_S):
            while not (self._result or course.outcome is not None or (course.forced if force else course.draining)):
                await self._changed.wait()
            return True
        return False

    def _status(self, state: RunState) -> dict[str, Any]:
        final = state.verdicts.total()
        return {
            "run_id": self._files.id,
            "pid": os.getpid(),
            "since": self._since.isoformat(timespec="milliseconds"),
            "outcome": state.outcome,
            "stopped": state.course.stopped,
            "paused": state.course.is_paused,
            "paused_since": stamp(state.course.paused),
            "draining": state.course.draining,
            "forced": state.course.forced,
            "tasks": {
                "total": len(state.order),
                "pending": state.pending,
                "active": len(state.order) - state.pending - final,
                "final": final,
                **{kind.value: count for kind, count in state.verdicts.items() if count},
            },
            "waves": [
                {"wave": wave.number, "running": wave.running, "unsettled": wave.unsettled, "failures": wave.failures}
                for wave in state.open_waves()
            ],
            "memory_held_bytes": state.memory_held_bytes(),
            "facts": self._reader.committed(),
            "ops": OPS,
        }

    # -- followers --

    async def _lead(self, client: LineSocket, since: int) -> None:
        """Through the journal from the fact after `since` on, and on as it grows, to the end."""
        self._followers += 1
        try:
            while True:
                changed, result = self._changed, self._result  # before the look, so that nothing is missed
                piece = await anyio.to_thread.run_sync(partial(self._read, since + 1))
                for stamped in piece:
                    since += 1
                    await client.send(to_line(since, stamped))
                if piece:
                    continue
                if result is not None:
                    await client.send(line({"result": result()}))
                    return
                if not await _more(changed, client):
                    return
        except JournalError as error:
            await client.send(_cut_off(error.code, error.message, since=since))
        except anyio.get_cancelled_exc_class():
            client.send_if_room(_cut_off("run_ending", "the process that works on the run is ending", since=since))
            raise
        finally:
            self._followers -= 1
            self._wake()

    def _read(self, start: int) -> list[Stamped]:
        return list(islice(self._reader.read(start), PIECE))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _cut_off(kind: str, words: str, **more: int) -> bytes:
    """The last line for a client; no answer of the run to what it asked."""
    return line({"ok": False, "error": words, "kind": kind, **more})


async def _more(changed: anyio.Event, client: LineSocket) -> bool:
    """True as soon as the run has changed; False where the follower hung up, or said something out of turn."""
    ended = False

    async def until_it_speaks() -> None:
        nonlocal ended
        await client.until_readable()
        ended = True
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(until_it_speaks)
        await changed.wait()
        group.cancel_scope.cancel()
    return not ended
