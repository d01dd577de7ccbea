"""A thread with an event loop of its own: however much the page has to do, the engine's loop is not held up by it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio
import structlog

Work = Callable[[anyio.Event, Callable[[], None]], Awaitable[None]]
"""(set when it is to end; to be called once it is ready) -> None, when it has ended."""

STOP_S = 5.0
"""How long the work has to end once it was asked to; then its thread is left to end with the process."""


@contextmanager
def in_thread(work: Work, *, name: str) -> Iterator[None]:
    """Run `work` in a thread of its own until the block ends; it is ready when the block begins. Blocks at both ends.

    What it raises before it is ready is raised here; later failures go to our log alone, as nobody who shows a run may
    end it.
    """
    thread = _Thread(work, name)
    thread.start()
    try:
        thread.wait_ready()
        yield
    finally:
        thread.ask_to_end()
        thread.join(STOP_S)


class _Thread(threading.Thread):
    def __init__(self, work: Work, name: str) -> None:
        super().__init__(name=name, daemon=True)  # a page that does not end must not keep a process from its end
        self._work = work
        self._settled = threading.Event()
        """It is ready, or has ended."""
        self._ready = False
        self._error: BaseException | None = None
        self._end: Callable[[], object] | None = None
        self._asked = False
        self._lock = threading.Lock()

    def run(self) -> None:
        """The thread's life."""
        try:
            anyio.run(self._main)
        except BaseException as error:  # told to whoever waits, or to the log
            self._error = error
            if self._ready:
                structlog.get_logger("wavepool.web").error("the page has ended", exc_info=error)
        finally:
            self._settled.set()

    def wait_ready(self) -> None:
        """Blocks. Raises what the work raised, if it ended before it was ready."""
        self._settled.wait()
        if self._error is not None and not self._ready:
            raise self._error

    def ask_to_end(self) -> None:
        """From another thread; more than once, before its loop is there or after it has gone."""
        with self._lock:
            self._asked = True
            if self._end is not None:
                with contextlib.suppress(RuntimeError):  # its loop has ended
                    self._end()

    async def _main(self) -> None:
        ending = anyio.Event()
        loop = asyncio.get_running_loop()
        with self._lock:
            self._end = lambda: loop.call_soon_threadsafe(ending.set)
            if self._asked:
                ending.set()
        await self._work(ending, self._be_ready)

    def _be_ready(self) -> None:
        self._ready = True
        self._settled.set()
