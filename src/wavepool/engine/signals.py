"""Ctrl-C: the first drains, the second kills. The engine owns the signals while a run goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable

import anyio


async def forward_interrupts(interrupt: Callable[[bool], None]) -> None:
    """Call `interrupt(force)` for each SIGINT or SIGTERM: False for the first, True for each further one.

    Runs until it is cancelled; the previous handlers are then back in place. Only in the main thread.
    """
    force = False
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        async for _ in received:
            interrupt(force)
            force = True
