"""Blocking calls and event loops do not go together: here is where that is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

_Answer = TypeVar("_Answer")


def ask(name: str, work: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """What `work` comes to, in an event loop of its own.

    Raises:
        RuntimeError: `name`, the function that blocks, was called inside a running event loop.
    """
    refuse_inside_a_loop(name)
    return anyio.run(work)


def refuse_inside_a_loop(name: str) -> None:
    """See that this thread runs no event loop: it would stand still for as long as `name` blocks.

    Raises:
        RuntimeError: it runs one.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        f"{name}() blocks, and was called inside a running event loop; "
        f"call it in a thread there: await anyio.to_thread.run_sync({name}, ...)"
    )
