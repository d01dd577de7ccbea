"""Many viewers of the dashboard, in one process: ``python -m bench.web_clients ORIGIN CLIENTS [CHANNEL...]``.

Each is a WebSocket of its own at ``/ws`` that subscribes to the channels, reads all that comes and answers pings, as a
browser does. They share one thread and one `epoll`, and look no further into a message than its channel and number: a
message costs some 10 µs here, so that it is the server that is measured. ``--silent N`` of them never read, as a page
in a tab that sleeps. The token comes as the first line of stdin.

On stdout a JSON line when all have had their first document, and a second with what was counted, after stdin's end.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import selectors
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from bench.websocket import CLOSE, PING, PONG, TEXT, Address, Frames, Refused, closing_words, connected, frame

CONNECTING = 50
"""Handshakes under way at once."""

DEADLINE_S = 120.0
"""For all to be connected."""

RECEIVE_BYTES = 1 << 18
_HEAD = re.compile(rb'\{"channel":\s*"([^"]+)",\s*"seq":\s*(\d+),\s*"(document|patch)"')


class Viewer:
    """One client.

    Attributes:
        ready: it was let in and has had the first document of each channel.
        closed: why the connection has ended, None while it is open.
    """

    def __init__(self, address: Address, token: str, channels: Sequence[str], *, silent: bool) -> None:
        self.silent = silent
        self.closed: str | None = None
        self.socket = connected(address, "/ws", token, upgrade=True, timeout_s=DEADLINE_S)
        if silent:  # so that the server's bounds are reached soon, not the kernel's
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._wanted = {"overview", *channels}
        self._seqs: dict[str, int] = {}
        self._frames = Frames()
        self._asked = False
        self.socket.setblocking(False)

    @property
    def ready(self) -> bool:
        return self._frames.let_in and (self.silent or self._wanted <= self._seqs.keys())

    def receive(self, counted: Counted) -> None:
        """Take what has come."""
        try:
            data = self.socket.recv(RECEIVE_BYTES)
            if not data:
                self.closed = "the connection was ended"
            counted.received_bytes += len(data)
            for opcode, payload in self._frames.take(data):
                self._take(opcode, payload, counted)
            if self._frames.let_in and not self._asked:
                self._ask()
        except BlockingIOError:
            return
        except (OSError, Refused) as error:
            self.closed = str(error)
        counted.compressed += self._frames.compressed
        self._frames.compressed = 0

    def _ask(self) -> None:
        """Only now: what comes before the handshake is answered is nobody's."""
        self._asked = True
        for channel in sorted(self._wanted):
            self.socket.sendall(frame(TEXT, json.dumps({"subscribe": channel}).encode()))

    def _take(self, opcode: int, payload: bytes, counted: Counted) -> None:
        if opcode == TEXT:
            self._read(payload, counted)
        elif opcode == PING:
            self.socket.sendall(frame(PONG, payload))
        elif opcode == CLOSE:
            self.closed = closing_words(payload)

    def _read(self, message: bytes, counted: Counted) -> None:
        found = _HEAD.match(message)
        if found is None:
            counted.others += 1
            return
        channel, number = found[1].decode(), int(found[2])
        before = self._seqs.get(channel)
        if found[3] == b"patch" and before is not None and number != before + 1:
            counted.gaps += 1
        counted.count(channel, number, whole=found[3] == b"document", first=before is None)
        self._seqs[channel] = number


@dataclass(slots=True, kw_only=True)
class Counted:
    """What all of them have received.

    Attributes:
        patches, documents: messages of both kinds; the documents that each begins with are not counted.
        gaps: patches whose number did not follow on the last: must be none.
        compressed: frames that were compressed for one client alone.
        others: signs of life, and errors.
        spreads_s: for each patch that went to all, from its arrival at the first to that at the last.
    """

    patches: int = 0
    documents: int = 0
    gaps: int = 0
    compressed: int = 0
    others: int = 0
    received_bytes: int = 0
    _arrivals: dict[tuple[str, int], tuple[int, float, float]] = field(default_factory=dict)

    def count(self, channel: str, number: int, *, whole: bool, first: bool) -> None:
        """One message has come."""
        if whole:
            self.documents += not first
            return
        self.patches += 1
        now_s = time.monotonic()
        seen, first_s, _ = self._arrivals.get((channel, number), (0, now_s, now_s))
        self._arrivals[channel, number] = (seen + 1, first_s, now_s)

    def forget(self) -> None:
        """Begin to count anew."""
        self.patches = self.documents = self.gaps = self.compressed = self.others = self.received_bytes = 0
        self._arrivals.clear()

    def spreads_s(self, readers: int) -> list[float]:
        return [last_s - first_s for seen, first_s, last_s in self._arrivals.values() if seen == readers]


def view(address: Address, token: str, channels: Sequence[str], *, clients: int, silent: int) -> None:
    """Connect, tell it, read until stdin ends, tell what came."""
    counted = Counted()
    began_s = time.monotonic()
    with selectors.DefaultSelector() as selector:
        viewers: list[Viewer] = []
        while sum(viewer.ready for viewer in viewers) < clients:
            waiting = sum(not viewer.ready for viewer in viewers)
            for _ in range(min(CONNECTING - waiting, clients - len(viewers))):
                viewers.append(Viewer(address, token, channels, silent=len(viewers) < silent))
                selector.register(viewers[-1].socket, selectors.EVENT_READ, viewers[-1])
            _turn(selector, counted)
            refused = next((viewer.closed for viewer in viewers if viewer.closed), None)
            if refused or time.monotonic() - began_s > DEADLINE_S:
                sys.exit(f"web_clients: {len(viewers)} of {clients} are connected: {refused or 'it takes too long'}")
        for viewer in viewers[:silent]:
            selector.unregister(viewer.socket)
        _tell({"connected": clients, "took_s": time.monotonic() - began_s})
        _read_on(selector, viewers, counted)


def _read_on(selector: selectors.BaseSelector, viewers: Sequence[Viewer], counted: Counted) -> None:
    counted.forget()
    began_s, busy_s = time.monotonic(), time.process_time()
    selector.register(sys.stdin, selectors.EVENT_READ, None)
    while not _turn(selector, counted):
        pass
    took_s = time.monotonic() - began_s
    reading = [viewer for viewer in viewers if not viewer.silent]
    spreads_s = sorted(counted.spreads_s(len(reading)))
    names = ("patches", "documents", "gaps", "compressed", "others", "received_bytes")
    _tell(
        {
            **{name: getattr(counted, name) for name in names},
            "took_s": took_s,
            "busy_percent": 100 * (time.process_time() - busy_s) / took_s,
            "closed": [viewer.closed for viewer in reading if viewer.closed],
            "spreads_s": [round(each, 4) for each in spreads_s],
        }
    )


def _turn(selector: selectors.BaseSelector, counted: Counted) -> bool:
    """Deal with what has come; True where stdin has ended."""
    ended = False
    for key, _ in selector.select(1.0):
        if key.data is None:
            ended = not os.read(key.fd, 4096)
            continue
        key.data.receive(counted)
        if key.data.closed:
            selector.unregister(key.fileobj)
    return ended


def _tell(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    """As the module's first lines say."""
    parser = argparse.ArgumentParser(prog="python -m bench.web_clients")
    parser.add_argument("origin", help="such as http://127.0.0.1:8080")
    parser.add_argument("clients", type=int)
    parser.add_argument("channels", nargs="*", help="beside overview")
    parser.add_argument("--silent", type=int, default=0, help="how many of them never read")
    asked = parser.parse_args()
    parts = urlsplit(asked.origin)
    token = os.read(0, 4096).decode().strip()
    view((parts.hostname or "", parts.port or 80), token, asked.channels, clients=asked.clients, silent=asked.silent)


if __name__ == "__main__":
    main()
