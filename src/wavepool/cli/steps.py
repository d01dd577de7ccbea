"""What the seed's three steps share: reading a manifest, the open engine, Ctrl-C, and whose containers they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio

from wavepool.cli.given import read_given
from wavepool.engine.signals import forward_interrupts
from wavepool.engine.steps.manifest import Manifest, parse_manifest
from wavepool.errors import InfrastructureError
from wavepool.statedir import StateDir

NOBODY = "nobody"
"""Stands for an owner that was never made: it has no containers."""


def read_manifest(path: str, wave: int | None) -> Manifest:
    """The manifest of a file, or of standard input for ``-``, with the entries of `wave` alone.

    Raises:
        InputError: it cannot be read, or is wrong.
    """
    advice = "Name what `wavepool spawn` printed, or - for standard input."
    raw = read_given(path, "--containers", advice=advice)
    return parse_manifest(raw, "standard input" if path == "-" else path).only(wave)


def peek_owner(state_dir: StateDir) -> str:
    """The owner of the state directory, without making one: for looks that must leave no trace."""
    return state_dir.owner() if (state_dir.path / "owner").exists() else NOBODY


async def until_interrupted(work: Callable[[], Awaitable[None]]) -> bool:
    """Do `work`; the first Ctrl-C or SIGTERM cancels it. True if one did.

    Raises:
        BaseExceptionGroup: around what `work` raised.
    """
    interrupted = False
    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()

        def interrupt(_force: bool) -> None:
            nonlocal interrupted
            interrupted = True
            scope.cancel()

        group.start_soon(forward_interrupts, interrupt)
        with scope:
            await work()
        group.cancel_scope.cancel()
    return interrupted


@contextmanager
def infrastructure_exits(code: int) -> Iterator[None]:
    """Let errors of the machine or the daemon leave with this exit code: the seed's steps have no 3."""
    try:
        yield
    except* InfrastructureError as group:
        for error in _leaves(group):
            error.exit_code = code
        raise


def _leaves(error: BaseException) -> list[InfrastructureError]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error] if isinstance(error, InfrastructureError) else []
