"""The client side of a WebSocket (RFC 6455), as little as costs least: frames are taken apart, not understood."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

Address = tuple[str, int]


class Refused(Exception):
    """The server did not let it in; says the status line."""


def request(address: Address, path: str, token: str, *, upgrade: bool) -> bytes:
    """A GET with the token; with `upgrade` for a WebSocket, with compression on offer as browsers offer it."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {address[0]}:{address[1]}", f"Authorization: Bearer {token}"]
    if upgrade:
        lines += [
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        ]
    return "\r\n".join((*lines, "", "")).encode()


def frame(opcode: int, payload: bytes) -> bytes:
    """A short one, masked with zeros, as clients must mask."""
    if len(payload) > 125:
        raise ValueError(f"{len(payload)} bytes are too many for a short frame")
    return bytes((0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0)) + payload


class Frames:
    """Takes what was received apart.

    Attributes:
        let_in: whether the handshake was answered well.
        compressed: how many frames were compressed, which takes the server's time for each client anew.
    """

    def __init__(self) -> None:
        self.let_in = False
        self.compressed = 0
        self._buffer = bytearray()

    def take(self, data: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
        """Opcode and payload of each frame that is whole now. Raises Refused."""
        self._buffer += data
        if not self.let_in and not self._handshake():
            return
        while (found := self._next()) is not None:
            yield found

    def _handshake(self) -> bool:
        head, end, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Refused(head.split(b"\r\n")[0].decode())
        self.let_in = True
        self._buffer = bytearray(rest)
        return True

    def _next(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + size:
            return None
        first, payload = buffer[0], bytes(buffer[start : start + size])
        del buffer[: start + size]
        self.compressed += bool(first & 0x40)
        return first & 0x0F, payload


def closing_words(payload: bytes) -> str:
    """Of a frame that closes: its code and reason."""
    return f"closed with {int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}"


def connected(address: Address, path: str, token: str, *, upgrade: bool, timeout_s: float) -> socket.socket:
    """A socket over which the request has gone; closed by the caller. Raises OSError."""
    made = socket.create_connection(address, timeout=timeout_s)
    try:
        made.sendall(request(address, path, token, upgrade=upgrade))
    except BaseException:
        made.close()
        raise
    return made
