"""Claims come first: whatever makes or removes containers waits for them, a little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

PATIENCE_S = 0.25
"""How long the making or removing of a container is put off for claims; then it must go on, or a pool under steady load
would never be filled again."""


class Calm:
    """Knows whether claims are on their way."""

    def __init__(self) -> None:
        self._claims = 0
        self._over = anyio.Event()

    @property
    def disturbed(self) -> bool:
        """True while a claim is on its way."""
        return self._claims > 0

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """A claim is on its way inside the block."""
        self._claims += 1
        try:
            yield
        finally:
            self._claims -= 1
            if not self._claims:
                self._over.set()
                self._over = anyio.Event()

    async def wait(self) -> None:
        """Until no claim is on its way, or for `PATIENCE_S`."""
        if not self._claims:
            return
        with anyio.move_on_after(PATIENCE_S):
            while self._claims:
                await self._over.wait()
