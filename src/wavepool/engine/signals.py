"""Ctrl-C: the first drains, the second kills. The engine owns the signals while a run goes on."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import anyio

_Handler = Callable[[int, FrameType | None], Any] | int | None
_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_line: list[Callable[[], None]] = []
"""Who listens; the last hears of a signal. Signals belong to the main thread, and that has one loop at a time."""
_before: dict[signal.Signals, _Handler] = {}
"""What was in place before the first of them."""


async def forward_interrupts(interrupt: Callable[[bool], None]) -> None:
    """Call `interrupt(force)` for each SIGINT or SIGTERM: False for the first, True for each further one.

    Runs until it is cancelled; then whoever listened before does so again, or, where nobody did, the previous handlers
    are back in place. Only in the main thread.
    """
    force = False
    send, receive = anyio.create_memory_object_stream[None](math.inf)
    with send, receive, _last_in_line(lambda: send.send_nowait(None)):
        async for _ in receive:
            interrupt(force)
            force = True


@contextmanager
def _last_in_line(hear: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    if not _line:
        _before.update((number, signal.getsignal(number)) for number in _NUMBERS)
        for number in _NUMBERS:
            loop.add_signal_handler(number, _dispatch)
    _line.append(hear)
    try:
        yield
    finally:
        _line.remove(hear)
        if not _line:
            _put_back(loop)


def _dispatch() -> None:
    if _line:
        _line[-1]()


def _put_back(loop: asyncio.AbstractEventLoop) -> None:
    """The handlers as they were; meanwhile signals wait, as the loop itself puts the default action in place."""
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)
    try:
        for number in _NUMBERS:
            loop.remove_signal_handler(number)
            signal.signal(number, _before.pop(number) or signal.SIG_DFL)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
