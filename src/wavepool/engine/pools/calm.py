"""Claims come first: whatever makes or removes containers waits for a pause between them, while it can."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

QUIET_S = 0.1
"""A pause between claims: so long nobody came. Tasks that come in a row come closer than that."""
QUIET_PATIENCE_S = 0.5
"""How long a pause is waited for; then work goes on, or a pool under steady load would never be filled again."""
CLAIM_PATIENCE_S = 0.25
"""The same for what cannot wait for a pause, but for the end of the claims that are on their way."""


class Calm:
    """Knows whether claims are on their way, and when the last one was."""

    def __init__(self) -> None:
        self._claims = 0
        self._last_s = -math.inf
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
            self._last_s = anyio.current_time()
            if not self._claims:
                self._over.set()
                self._over = anyio.Event()

    async def wait(self) -> None:
        """Until no claim is on its way, or for `CLAIM_PATIENCE_S`."""
        if self._claims:
            with anyio.move_on_after(CLAIM_PATIENCE_S):
                await self._claims_over()

    async def wait_for_pause(self) -> None:
        """Until no claim was on its way for `QUIET_S`, or for `QUIET_PATIENCE_S`."""
        with anyio.move_on_after(QUIET_PATIENCE_S):
            while self._claims or (left_s := self._last_s + QUIET_S - anyio.current_time()) > 0:
                if self._claims:
                    await self._claims_over()
                else:
                    await anyio.sleep(left_s)

    async def _claims_over(self) -> None:
        while self._claims:
            await self._over.wait()
