"""An event loop whose clock jumps: hours of a simulation pass in the time its own work takes.

`VirtualTimeLoop.time()` stands still while anything is ready, and jumps to the next timer as soon as nothing is. The
order of what runs depends on nothing outside the process. Real threads are waited for, see `busy`; real sockets and
child processes are not: nothing that talks to them belongs on this loop.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, TypeVarTuple, Unpack

import anyio
import anyio.to_thread

START_S = 1000.0
"""The first reading of the clock. Not 0, which code might take for "not set"."""

THREAD_PATIENCE_S = 60.0
"""Real seconds that a busy thread may take to wake the loop before it counts as stuck."""

_RECHECK_S = 1.0

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")


class VirtualDeadlock(RuntimeError):
    """Nothing is ready, no timer is set and no thread is busy: all tasks wait for each other."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time; give it to `anyio.run` as ``loop_factory``.

    Attributes:
        busy: True while a real thread works for this loop and will wake it (`call_soon_threadsafe`). While nothing
            is ready and `busy()` is True, the loop blocks for that wake-up instead of jumping. It must not turn
            False before the wake-up was sent.

    Raises from `run_*`:
        VirtualDeadlock: nothing could ever happen again, or a busy thread was silent for `THREAD_PATIENCE_S`.
    """

    def __init__(self, busy: Callable[[], bool] = lambda: False) -> None:
        self.busy = busy
        self._now_s = START_S
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Virtual seconds."""
        return self._now_s

    def jump(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self._now_s += seconds


class _JumpingSelector(selectors.BaseSelector):
    """Asks the real selector without waiting; where that has nothing, moves the clock instead of waiting."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        busy = self._loop.busy()  # asked before the poll: a thread that ends in between has left its wake-up there
        ready = self._real.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if busy:
            return self._await_thread()
        if timeout is None:
            raise VirtualDeadlock(f"nothing can ever happen again; waiting are:\n{_waiting(self._loop)}")
        self._loop.jump(timeout)
        return []

    def _await_thread(self) -> list[tuple[selectors.SelectorKey, int]]:
        deadline = time.monotonic() + THREAD_PATIENCE_S
        while time.monotonic() < deadline:
            ready = self._real.select(_RECHECK_S)
            if ready or not self._loop.busy():
                return ready
        raise VirtualDeadlock(
            f"a thread was silent for {THREAD_PATIENCE_S:.0f} s; waiting are:\n{_waiting(self._loop)}"
        )

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


def run_virtual(
    main: Callable[[Unpack[_Args]], Awaitable[_T]], *args: *_Args, busy: Callable[[], bool] | None = None
) -> _T:
    """Run `main(*args)` in virtual time and return its result.

    Threads of `anyio.to_thread` (with its default limiter) are waited for by themselves; `busy` speaks for others.

    Raises:
        VirtualDeadlock: nothing could ever happen again.
    """

    async def with_threads() -> _T:
        limiter = anyio.to_thread.current_default_thread_limiter()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.busy = lambda: limiter.borrowed_tokens > 0 or (busy is not None and busy())
        return await main(*args)

    return anyio.run(with_threads, backend_options={"loop_factory": VirtualTimeLoop})


def _waiting(loop: asyncio.AbstractEventLoop) -> str:
    """One line for each task: its name and where it waits, from the outermost call to the innermost."""
    return "\n".join(sorted(f"  {task.get_name()}: {_places(task)}" for task in asyncio.all_tasks(loop)))


def _places(task: asyncio.Task[Any]) -> str:
    awaited: Any = task.get_coro()
    places: list[str] = []
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            places.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return " > ".join(places)
