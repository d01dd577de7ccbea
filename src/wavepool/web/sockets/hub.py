"""One tick for all clients: each channel's changes are taken and encoded once, and the same text is sent to all."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import anyio
import anyio.lowlevel
import msgspec
import structlog

from wavepool.monitoring.channels import Channel
from wavepool.monitoring.wellformed import well_formed
from wavepool.web.sockets.outbox import Outbox

TICK_S = 0.25
ALIVE_S = 5.0
CLIENTS = 2000
"""That may be there at once."""

CHANNELS = 32
"""That one client may follow at once."""

SETTLED_AT = 100
"""Each time that so many clients have come, the collector is told to pass over what is there; each time that so many
have gone, to look at all of it again. With 1,000 it held up every loop of the process for 0.2 s, again and again."""

OVERVIEW = "overview"
RUN = "run:"


class TooMany(Exception):
    """A bound is reached. `str(error)` is a sentence for the client."""


class Channels(Protocol):
    """Where channels come from: `wavepool.monitoring.Monitor`."""

    @property
    def overview(self) -> Channel:
        """What all runs share; always there."""

    async def open_run(self, run_id: str) -> Channel:
        """The channel of a run, kept up to date until `close_run` was called as often. Raises WavepoolError."""

    def close_run(self, run_id: str) -> None:
        """One of those who opened it needs it no more."""


class _Followed:
    """A channel that somebody follows.

    Attributes:
        seq: of the newest change.
        outboxes: of who follows it.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.seq = 0
        self.outboxes: set[Outbox] = set()
        self._document: tuple[int, str] | None = None

    def tick(self, encoder: msgspec.json.Encoder) -> None:
        """Tell all of what has changed."""
        patch = self.channel.take_patch()
        if patch is None:
            return
        self.seq += 1
        self._document = None
        text = _encoded(encoder, {"channel": self.channel.name, "seq": self.seq, "patch": patch})
        for outbox in self.outboxes:
            outbox.patch(self.channel.name, text)

    def document(self, encoder: msgspec.json.Encoder) -> str:
        """All of it as of the last tick, encoded once for all who ask before the next change."""
        if self._document is None or self._document[0] != self.seq:
            told = {"channel": self.channel.name, "seq": self.seq, "document": self.channel.document()}
            self._document = (self.seq, _encoded(encoder, told))
        return self._document[1]


class Hub:
    """Of one web server. Lives in one loop; `run` is its heart.

    Args:
        channels: where they come from.
    """

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._encoder = msgspec.json.Encoder()
        self._followed: dict[str, _Followed] = {OVERVIEW: _Followed(channels.overview)}
        self._opening: dict[str, anyio.Lock] = {}
        self._clients: set[Outbox] = set()
        self._came = 0
        self._went = 0

    @property
    def clients(self) -> int:
        """How many there are."""
        return len(self._clients)

    @property
    def followed(self) -> list[str]:
        """Names of the channels that are open."""
        return list(self._followed)

    async def run(self) -> None:
        """Tick until this is cancelled."""
        ticks = 0
        while True:
            await anyio.sleep(TICK_S)
            ticks += 1
            for each in list(self._followed.values()):
                self._tick(each)
                await anyio.lowlevel.checkpoint()  # whoever waits for this loop waits for one channel, not for all
            if ticks % round(ALIVE_S / TICK_S) == 0:
                self._say_alive()

    @contextmanager
    def client(self) -> Iterator[Outbox]:
        """A new one, until the block ends. Raises TooMany."""
        if len(self._clients) >= CLIENTS:
            raise TooMany(f"{CLIENTS} clients are connected already, which is the most that are served.")
        outbox = Outbox()
        self._clients.add(outbox)
        self._came += 1
        if self._came % SETTLED_AT == 0:
            gc.freeze()
        try:
            yield outbox
        finally:
            self._clients.discard(outbox)
            self._went += 1
            if self._went % SETTLED_AT == 0:
                gc.unfreeze()
            for channel in list(outbox.channels):
                self.unfollow(outbox, channel)

    async def follow(self, outbox: Outbox, channel: str) -> None:
        """Send it the channel's document, then its changes.

        Raises:
            TooMany: it follows as many as it may.
            WavepoolError: there is no such run.
        """
        if channel in outbox.channels:
            return
        if len(outbox.channels) >= CHANNELS:
            raise TooMany(f"A client may follow {CHANNELS} channels at once.")
        followed = self._followed.get(channel) or await self._opened(channel)
        followed.outboxes.add(outbox)
        outbox.follow(channel)

    def unfollow(self, outbox: Outbox, channel: str) -> None:
        """Nothing more of it. What nobody follows is closed."""
        outbox.leave(channel)
        followed = self._followed.get(channel)
        if followed is None:
            return
        followed.outboxes.discard(outbox)
        if not followed.outboxes and channel != OVERVIEW:
            self._close(channel)

    def document(self, channel: str) -> str | None:
        """The message that holds it; None where nobody follows it."""
        followed = self._followed.get(channel)
        return None if followed is None else followed.document(self._encoder)

    async def _opened(self, channel: str) -> _Followed:
        """The channel of a run; those who ask for one at once open it once, and none waits for another run."""
        lock = self._opening.setdefault(channel, anyio.Lock())
        try:
            async with lock:
                if channel not in self._followed:
                    self._followed[channel] = _Followed(await self._channels.open_run(channel.removeprefix(RUN)))
                return self._followed[channel]
        finally:
            if not lock.statistics().tasks_waiting:
                self._opening.pop(channel, None)

    def _close(self, channel: str) -> None:
        del self._followed[channel]
        self._channels.close_run(channel.removeprefix(RUN))

    def _tick(self, followed: _Followed) -> None:
        try:
            followed.tick(self._encoder)
        except Exception as error:  # one channel that fails must not silence the others
            _log().error("a channel of the page failed", channel=followed.channel.name, exc_info=error)

    def _say_alive(self) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = self._encoder.encode({"alive": now}).decode()
        for outbox in self._clients:
            outbox.tell_if_idle(text)


def _encoded(encoder: msgspec.json.Encoder, message: Any) -> str:
    """As JSON, whatever text is in it: a patch that was taken and not told would leave all clients behind for good."""
    try:
        return encoder.encode(message).decode()
    except UnicodeEncodeError:
        return encoder.encode(well_formed(message)).decode()


def _log() -> Any:
    return structlog.get_logger("wavepool.web")
