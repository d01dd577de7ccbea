"""Signals of a fix: a run or a check has them while it goes on; between two of them SIGTERM is as good as Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import anyio

from wavepool.errors import first_of_ours

T = TypeVar("T")


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt inside the block. Only in the main thread."""
    before = signal.getsignal(signal.SIGTERM)
    _listen()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
    signal.signal(signal.SIGTERM, _as_ctrl_c)


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
