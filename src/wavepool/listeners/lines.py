"""The thread that writes lines: a reader that is slow, or gone, never stalls a run."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import IO, Any, Generic, TypeVar

T = TypeVar("T")

BOUND = 10_000
"""Items that wait to be written. At the bound further ones are dropped and counted."""


class LineWriter(Generic[T]):
    """Writes items from a thread of its own, in their order.

    Args:
        write: writes one item; called in the thread. What it raises as OSError or ValueError (a reader that is gone,
            a closed stream) ends the writing: all further items are dropped, quietly.
        flush: called when nothing waits any more.
        bound: how many items may wait.
    """

    def __init__(self, write: Callable[[T], None], flush: Callable[[], None], *, bound: int = BOUND) -> None:
        self._write = write
        self._flush = flush
        self._bound = bound
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._writing = 0
        """1 while the first of those that wait is being written."""
        self._closing = False
        self._broken = False
        self._dropped = 0
        # A daemon thread: a reader that never reads must not keep a process from its end.
        self._thread = threading.Thread(target=self._run, name="wavepool-lines", daemon=True)

    @property
    def dropped(self) -> int:
        """Items that were not written, and never will be."""
        return self._dropped

    def put(self, item: T) -> None:
        """Hand one over. Never blocks."""
        with self._changed:
            if self._broken or self._closing or len(self._waiting) >= self._bound:
                self._dropped += 1
                return
            self._waiting.append(item)
            if not self._thread.ident:
                self._thread.start()
            self._changed.notify_all()

    def drain(self, deadline_s: float) -> None:
        """Wait until everything is written, or broken; after `deadline_s` seconds what still waits is dropped."""
        until_s = time.monotonic() + deadline_s
        with self._changed:
            while self._waiting and not self._broken:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    break
                self._changed.wait(left_s)
            while len(self._waiting) > self._writing:
                self._waiting.pop()
                self._dropped += 1

    def close(self, deadline_s: float) -> int:
        """Drain, end the thread, and say how many were dropped. Safe to repeat.

        A write that a stalled reader holds up is left behind in its thread after `deadline_s`.
        """
        self.drain(deadline_s)
        self._end()
        if self._thread.ident:
            self._thread.join(deadline_s)
        return self._dropped

    def finish(self, item: T, deadline_s: float) -> int:
        """As `close`, with `item` as the last one: it is never dropped, however long its reader takes."""
        self.drain(deadline_s)
        with self._changed:
            if not self._broken and not self._closing:
                self._waiting.append(item)
                if not self._thread.ident:
                    self._thread.start()
        self._end()
        if self._thread.ident:
            self._thread.join()
        return self._dropped

    def _end(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if not self._waiting:
                    return
                item = self._waiting[0]  # stays until it is written, so that `drain` waits for it
                self._writing = 1
            written = self._written(item)
            with self._changed:
                self._writing = 0
                self._waiting.popleft()
                self._broken = self._broken or not written
                if self._broken:
                    self._dropped += len(self._waiting) + 1
                    self._waiting.clear()
                self._changed.notify_all()
                if self._broken:
                    return

    def _written(self, item: T) -> bool:
        try:
            self._write(item)
            if len(self._waiting) <= 1:
                self._flush()
        except (OSError, ValueError):
            return False
        return True


def swallow_rest(stream: IO[Any]) -> None:
    """The reader of `stream` is gone: lead what is still buffered nowhere, so that the exit is quiet too.

    See the note on SIGPIPE in the documentation of Python's `signal`.
    """
    with contextlib.suppress(OSError, ValueError):
        descriptor = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.dup2(nowhere, descriptor)
        finally:
            os.close(nowhere)
