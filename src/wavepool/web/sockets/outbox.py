"""What waits to be sent to one client: a bounded queue, and the documents that it gets anew where it was too slow."""

from __future__ import annotations

from collections import deque

import anyio

MESSAGES = 64
"""At most so many wait: 16 s of one channel's changes."""

BYTES = 4 * 1024 * 1024
"""At most so many, but for one message that is larger."""


class Outbox:
    """Of one client. At its bound it is emptied: the client is behind, and gets each channel's newest document instead.

    Attributes:
        channels: what the client follows.
        overruns: how often it was emptied.
    """

    def __init__(self) -> None:
        self.channels: set[str] = set()
        self.overruns = 0
        self._waiting: deque[str] = deque()
        self._size = 0
        self._stale: dict[str, None] = {}
        """Channels whose document is due, in the order in which they became so."""
        self._filled = anyio.Event()

    def follow(self, channel: str) -> None:
        """Begin with its document."""
        self.channels.add(channel)
        self._stale[channel] = None
        self._filled.set()

    def leave(self, channel: str) -> None:
        """Nothing more of it, but for what waits already."""
        self.channels.discard(channel)
        self._stale.pop(channel, None)

    def patch(self, channel: str, text: str) -> None:
        """A change of a channel. Never waits."""
        if channel not in self._stale:
            self._put(text)

    def tell(self, text: str) -> None:
        """Something else. Never waits."""
        self._put(text)

    def tell_if_idle(self, text: str) -> None:
        """Something that says nothing to who has other things to read."""
        if not self._waiting and not self._stale:
            self._put(text)

    async def next(self) -> tuple[str, str]:
        """(``text``, a message) or (``document``, a channel whose document is due); waits until there is one."""
        while True:
            if self._waiting:
                text = self._waiting.popleft()
                self._size -= len(text)
                return "text", text
            if self._stale:
                channel = next(iter(self._stale))
                del self._stale[channel]
                return "document", channel
            self._filled = anyio.Event()
            await self._filled.wait()

    def _put(self, text: str) -> None:
        if self._waiting and (len(self._waiting) >= MESSAGES or self._size + len(text) > BYTES):
            self._waiting.clear()
            self._size = 0
            self._stale.update(dict.fromkeys(self.channels))
            self.overruns += 1
            return
        self._waiting.append(text)
        self._size += len(text)
        self._filled.set()
