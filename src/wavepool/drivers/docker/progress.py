"""What the engine says while a pull or a build goes on: one JSON object a line, until it ends the stream."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio

from wavepool.drivers.docker.api import ByteStream
from wavepool.errors import DriverUnavailable


async def messages(what: str, stream: ByteStream, silence_max_s: float) -> AsyncGenerator[dict[str, Any], None]:
    """Each message, as it comes. `what` goes on, as in ``the pull of IMAGE``. Whoever reads it closes it.

    Raises:
        DriverUnavailable: nothing was said for `silence_max_s`.
    """
    rest = b""
    while True:
        piece = None
        with anyio.move_on_after(silence_max_s):
            piece = await anext(stream, b"")
        if piece is None:
            raise DriverUnavailable(f"{what} made no progress for {silence_max_s:.0f} s")
        *lines, rest = (rest + piece).split(b"\n") if piece else [rest, b""]
        for line in lines:
            if line.strip():
                yield json.loads(line)
        if not piece:
            return
