"""Work that is long and has no effect: who no longer wants its result leaves it behind, and the process may end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def left_behind(work: Callable[[], T]) -> T:
    """Do it in a thread of its own. Cancelled, it returns at once; the thread goes on, and holds up no exit.

    Raises:
        Exception: what the work raises.
    """
    told: Future[T] = Future()
    told.set_running_or_notify_cancel()  # from now on it cannot be cancelled, only left
    Thread(target=_tell, args=(work, told), name="left behind", daemon=True).start()
    return await asyncio.wrap_future(told)


def _tell(work: Callable[[], T], told: Future[T]) -> None:
    try:
        result = work()
    except Exception as error:
        told.set_exception(error)
    else:
        told.set_result(result)
