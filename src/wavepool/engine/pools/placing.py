"""Files that a task finds in its workspace, and that are brought back out of it: moved, never copied."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from wavepool.engine.pools.stock import Stock
from wavepool.engine.pools.tasks import TaskRun
from wavepool.errors import BadTask, InfrastructureError


def check_placing(stock: Stock, source: Path) -> None:
    """See that the containers of an agent type can have files for one task.

    Raises:
        BadTask: they share a workspace, or are wiped between tasks; or the files are no directory.
    """
    agent, settings = stock.book.agent, stock.book.settings
    if agent.workspace is not None:
        raise BadTask(
            f"agent type {stock.name}: its containers share the workspace {agent.workspace}, and can have no other",
            advice="Use an agent type without `workspace`.",
        )
    if settings.reuse:
        raise BadTask(
            f"agent type {stock.name}: its containers are reused, and wiped before anything could be brought back",
            advice="Use a pool without reuse.",
        )
    if not source.is_absolute() or not source.is_dir() or source.is_symlink():
        raise BadTask(f"workspace: got {str(source)!r}, expected the absolute path of a directory")


@asynccontextmanager
async def placed(source: Path, stock: Stock, task: TaskRun) -> AsyncIterator[None]:
    """Inside the block the files of `source` are in the task's workspace; after it what is there then is in `source`.

    Raises:
        InfrastructureError: they cannot be moved, as for want of a common file system.
    """
    await anyio.to_thread.run_sync(_move, source, task.progress.container.workspace)
    try:
        await anyio.to_thread.run_sync(stock.specs.give_all, task.progress.container.workspace)
        yield
    finally:
        with anyio.CancelScope(shield=True):  # asked for again: another container may have had to stand in
            await anyio.to_thread.run_sync(_move, task.progress.container.workspace, source)


def _move(source: Path, target: Path) -> None:
    try:
        for name in os.listdir(source):
            os.rename(source / name, target / name)
    except OSError as error:
        raise InfrastructureError(f"the files of {source} cannot be moved to {target}: {error.strerror}") from error
