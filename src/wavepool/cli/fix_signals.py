"""Signals of a fix: a run or a check has them while it goes on; between two of them SIGTERM is as good as Ctrl-C.

A terminal that closes (SIGHUP) is a SIGTERM too, except under nohup.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import anyio

from wavepool.errors import first_of_ours

T = TypeVar("T")
_NUMBERS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt inside the block. Only in the main thread."""
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    _listen()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_to_its_end(work: Callable[[], Awaitable[T]]) -> T:
    """Run it on a loop of its own, which may own the signals meanwhile.

    Raises:
        BaseException: what the work raises; of a group the first error of ours.
    """
    try:
        with taken_back():
            return anyio.run(work)
    except BaseExceptionGroup as errors:
        raise first_of_ours(errors) from errors


@contextmanager
def taken_back() -> Iterator[None]:
    """SIGTERM is ours again after the block, in which a loop has had it."""
    try:
        yield
    finally:
        _listen()


def _listen() -> None:
    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _as_ctrl_c)


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
