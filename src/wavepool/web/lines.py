"""Connections: bounded in number, and given up where nobody asks for anything. Strangers can open them too, and each is
a descriptor of the process that has the engine in it."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

LINES = 4096
"""That one port holds at once; further ones are cut off. A page has two or three."""

FIRST_S = 10.0
"""Until a connection must have sent a whole request."""


class Line(H11Protocol):
    """One connection, until it becomes a WebSocket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take it, or cut it off."""
        if len(self.connections) >= LINES:
            transport.abort()
            return
        super().connection_made(transport)
        self.loop.call_later(FIRST_S, self._give_up)

    def _give_up(self) -> None:
        if self in self.connections and self.cycle is None:
            self.transport.abort()
