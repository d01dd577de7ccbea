"""``/ws``: what is shown, and each change of it.

The server says ``{"channel", "seq", "document"}`` first, then ``{"channel", "seq", "patch"}`` (RFC 7396), ``{"alive":
time}`` every 5 s where nothing waits to be read, and ``{"error", "channel"}``. The client says ``{"subscribe":
channel}`` or ``{"unsubscribe": channel}``; channels are ``overview`` and ``run:<id>``. A `seq` that does not follow its
predecessor comes with a whole document: the client was too slow for what lay between.
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from wavepool.errors import WavepoolError, in_one_line
from wavepool.web.sockets.hub import OVERVIEW, RUN, Hub, TooMany
from wavepool.web.sockets.outbox import Outbox

MESSAGE_CHARS = 1024
"""No message of a client is longer."""

ERRORS = 100
"""After so many messages that were wrong a client is let go."""

TRY_AGAIN_LATER = 1013
POLICY_VIOLATION = 1008


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    """What a client says."""

    subscribe: str | None = None
    unsubscribe: str | None = None


def router(hub: Hub) -> APIRouter:
    """The route ``/ws`` over this hub."""
    routes = APIRouter()

    @routes.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()
        try:
            with hub.client() as outbox:
                await _converse(socket, hub, outbox)
        except TooMany as error:
            await socket.close(TRY_AGAIN_LATER, str(error))

    return routes


async def _converse(socket: WebSocket, hub: Hub, outbox: Outbox) -> None:
    """Until the client has gone."""
    async with anyio.create_task_group() as group:
        group.start_soon(_send, socket, hub, outbox, group.cancel_scope)
        await _listen(socket, hub, outbox)
        group.cancel_scope.cancel()


async def _send(socket: WebSocket, hub: Hub, outbox: Outbox, both: anyio.CancelScope) -> None:
    try:
        while True:
            kind, text = await outbox.next()
            message = text if kind == "text" else hub.document(text)
            if message is not None:
                await socket.send_text(message)
    except (WebSocketDisconnect, RuntimeError):  # it has gone, or was closed meanwhile
        both.cancel()


async def _listen(socket: WebSocket, hub: Hub, outbox: Outbox) -> None:
    wrong = 0
    decoder = msgspec.json.Decoder(_Asked)
    while wrong < ERRORS:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        problem = await _answer(message, hub, outbox, decoder)
        if problem is not None:
            wrong += 1
            outbox.tell(msgspec.json.encode(problem).decode())
    await socket.close(POLICY_VIOLATION, "too many messages were wrong")


async def _answer(
    message: Any, hub: Hub, outbox: Outbox, decoder: msgspec.json.Decoder[_Asked]
) -> dict[str, str] | None:
    """What is wrong with a message, if anything is."""
    raw = message.get("text") or ""
    try:
        asked = decoder.decode(raw) if len(raw) <= MESSAGE_CHARS else None
    except msgspec.DecodeError:
        asked = None
    channel = None if asked is None else asked.subscribe or asked.unsubscribe
    if asked is None or not channel or not (channel == OVERVIEW or channel.startswith(RUN)):
        return {"error": 'expected {"subscribe": "overview"}, {"subscribe": "run:ID"}, or the same with unsubscribe'}
    if asked.unsubscribe:
        hub.unfollow(outbox, channel)
        return None
    try:
        await hub.follow(outbox, channel)
    except (TooMany, WavepoolError) as error:
        said = in_one_line(str(error))
        return {"error": said if said.endswith("?") else f"{said}.", "channel": channel}
    return None
