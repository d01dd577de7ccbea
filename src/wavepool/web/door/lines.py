"""Connections: bounded in number, and given up where nobody asks for anything. Strangers can open them too, and each is
a descriptor of the process that has the engine in it."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

LINES = 4096
"""That one port holds at once; further ones are cut off. A page has two or three."""

WHOLE_S = 10.0
"""Until a connection must have sent a whole head of a request: its first, from its beginning; each further one, from
the first byte of it. Between two uvicorn bounds the silence."""


class Line(H11Protocol):
    """One connection, until it becomes a WebSocket."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take it, or cut it off."""
        if len(self.connections) >= LINES:
            transport.abort()
            return
        super().connection_made(transport)
        self._due = self.loop.call_later(WHOLE_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        """More of a request; whoever goes on sending a piece of one now and then is not waited for."""
        super().data_received(data)
        if not self._waits():
            self._forget_due()
        elif self._due is None:
            self._due = self.loop.call_later(WHOLE_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self._forget_due()
        super().connection_lost(exc)

    def _waits(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    def _forget_due(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _give_up(self) -> None:
        self._due = None
        if self in self.connections and self._waits():
            self.transport.abort()
