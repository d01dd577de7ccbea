"""A task whose container ran nothing of it and never will: another one stands in, with what was placed in its own."""

from __future__ import annotations

import os

import anyio.to_thread

from wavepool.engine.pools.containers import Container
from wavepool.engine.pools.disposal import Disposal
from wavepool.engine.pools.progress import Progress
from wavepool.engine.pools.results import Where
from wavepool.errors import InfrastructureError


async def move(progress: Progress, new: Container, where: Where, disposal: Disposal) -> None:
    """Make another container a task's own. The one that it had is disposed of, whatever happens.

    Raises:
        InfrastructureError: what was placed in its workspace cannot be moved.
    """
    old = progress.container
    progress.moves(new, where)
    try:
        await anyio.to_thread.run_sync(_move_files, old, new)
    finally:
        await disposal.take(old)


def _move_files(old: Container, new: Container) -> None:
    if new.workspace == old.workspace:
        return
    try:
        for name in os.listdir(old.workspace):
            os.rename(old.workspace / name, new.workspace / name)
    except OSError as error:
        raise InfrastructureError(f"{old.workspace} cannot be moved to {new.workspace}: {error.strerror}") from error
