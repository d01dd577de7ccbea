"""The two applications: the page with all its interfaces, and the seed's WebSocket. Each is behind a `Guard`.

How a part is plugged in: it is a function that takes the `Context` and returns an ``APIRouter``, and stands in `PARTS`
(the page's port) or `SOCKET_PARTS` (port 9001). The guard has let in whoever reaches a route; ``scope["state"]
["read_only"]`` is true for who came without a token (port 9001 with `--open-websocket` alone), and such a client must
find nothing that changes anything. What a part of the page's port raises is answered by `web.api.errors`.

Everything runs in the loop of the web server's own thread, which is not the engine's: block neither, and share no
objects with the engine. What goes on beside the answers (the 5 s of port 9001) is an async function of the `Context` in
`TASKS`: it is started with the server, and cancelled when that ends. Lifespans of FastAPI are off.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI

from wavepool.web import health, logs, pages
from wavepool.web.api import install
from wavepool.web.context import Context
from wavepool.web.door.guard import App, Door, Guard
from wavepool.web.sockets import seed_socket, stream

Part = Callable[[Context], APIRouter]

PARTS: Sequence[Part] = (
    lambda context: health.router(),
    lambda context: stream.router(context.hub),
    lambda context: logs.router(context.logs),
    lambda context: pages.router(),
)
"""Of the page's port, in the order in which routes are tried."""

SOCKET_PARTS: Sequence[Part] = (lambda context: health.router(), lambda context: seed_socket.router(context.seed))
"""Of the WebSocket's port."""

TASKS: Sequence[Callable[[Context], Coroutine[Any, Any, None]]] = (
    lambda context: context.hub.run(),
    lambda context: context.seed.run(),
)
"""What goes on beside the answers, until the server ends."""


def page_app(context: Context, door: Door) -> App:
    """The page, `/ws`, `/api`, `/metrics`, `/health`."""
    app = _app(context, PARTS)
    install(app, context.services)
    return Guard(app, door)


def socket_app(context: Context, door: Door) -> App:
    """The seed's WebSocket, at `/` and any other path."""
    return Guard(_app(context, SOCKET_PARTS), door)


def _app(context: Context, parts: Sequence[Part]) -> FastAPI:
    app = FastAPI(title="Wavepool", openapi_url=None, docs_url=None, redoc_url=None)
    for part in parts:
        app.include_router(part(context))
    return app
