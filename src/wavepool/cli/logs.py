"""`wavepool logs RUN TASK`: what a task has written, byte for byte, on stdout."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.output import progress_line
from wavepool.cli.pipes import INTERRUPTED, STDOUT, until_gone, write_all
from wavepool.cli.settings import settings_of
from wavepool.drivers.base import Driver
from wavepool.engine.history.output import LiveChronicle, OutputTeller
from wavepool.engine.history.runs import find_run
from wavepool.errors import InputError, SettingError, first_of_ours
from wavepool.listeners.lines import swallow_rest
from wavepool.statedir import StateDir
from wavepool.units import parse_duration
from wavepool.wiring import driver_named


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="logs", short_help="Write the output of a task, or follow it.")(logs)


def logs(
    run: options.Run,
    task: options.Task,
    attempt: options.Attempt = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on to its end; wait for one that has not started yet.")
    ] = False,
    since: Annotated[str | None, typer.Option(help="Only from then on: 10m (ago), or 2026-11-20T23:15:30Z.")] = None,
    state_dir: options.StateDirectory = None,
) -> None:
    """Write the output of TASK to stdout: from the run's archive, or, while it runs, from where it runs."""
    settings = settings_of(state_dir=state_dir)
    place = StateDir(settings.state_dir)
    history = find_run(place, run)
    teller = OutputTeller(
        LiveChronicle(history),
        task,
        open_driver=lambda name: _driver(name, place),
        write=partial(write_all, STDOUT),
        notice=progress_line,
        since=None if since is None else parse_since(since, datetime.now(UTC)),
    )
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))  # it only reads: there is nothing to be ended well
    try:
        anyio.run(_while_read, teller.follow if follow else teller.tell, attempt)
    except* BrokenPipeError:  # whoever read it had enough
        swallow_rest(sys.stdout)


async def _while_read(tell: Callable[[int | None], Awaitable[None]], attempt: int | None) -> None:
    """Tell it, as long as somebody reads it: one that has gone ends it also while the task is silent."""
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_end_with_reader, group.cancel_scope)
            await tell(attempt)
            group.cancel_scope.cancel()
    except BaseExceptionGroup as errors:
        raise first_of_ours(errors) from errors


async def _end_with_reader(scope: anyio.CancelScope) -> None:
    await until_gone(STDOUT)
    scope.cancel()


def parse_since(text: str, now: datetime) -> datetime:
    """A time: a duration before `now`, or ISO 8601 (UTC unless it says otherwise).

    Raises:
        SettingError: it is neither.
    """
    try:
        return now - timedelta(seconds=parse_duration(text))
    except InputError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError("--since", text, "a duration such as 10m, or a time such as 2026-11-20T23:15:30Z") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _driver(name: str, place: StateDir) -> AbstractAsyncContextManager[Driver]:
    return driver_named(name, place)
