"""`wavepool exec RUN TASK`: look into what a failed attempt left, or into one that runs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import Annotated

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.output import progress_line
from wavepool.cli.settings import settings_of
from wavepool.engine.history.revisit import Revisit, revisit
from wavepool.engine.history.runs import find_run
from wavepool.errors import InfrastructureError
from wavepool.statedir import StateDir
from wavepool.wiring import commands_into


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="exec", short_help="Open a shell in what an attempt left, or where it runs.")(exec_)


def exec_(
    run: options.Run,
    task: options.Task,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND...]", help="What to run in it; sh unless told.")
    ] = None,
    attempt: options.Attempt = None,
    state_dir: options.StateDirectory = None,
) -> None:
    """A shell in a new container made of what an attempt of TASK left (--keep-failed), or in one that still runs.

    The new container has the attempt's user, limits, workspace and mounts, and none of its secrets. It is gone when
    the command ends, whose exit code is ours.
    """
    settings = settings_of(state_dir=state_dir)
    history = find_run(StateDir(settings.state_dir), run)
    found = revisit(history, task, attempt)
    if shutil.which("docker") is None:
        raise InfrastructureError(
            "the docker command is not here, and it is what gives you a terminal in a container",
            advice=f"Install it (Debian: docker.io or docker-cli). The image is {found.kept}." if found.kept else "",
        )
    argv, given = anyio.run(commands_into, found, tuple(command or ()), sys.stdin.isatty())
    _say(found, argv)
    os.execvpe(argv[0], argv, {**os.environ, **given})


def _say(found: Revisit, argv: Sequence[str]) -> None:
    number = found.attempt.id.number
    if found.running is not None:
        progress_line(f"attempt {number} is still running: this is its own container")
        return
    progress_line(f"attempt {number} ended as {found.attempt.state}; what it left is in {found.kept}")
    if found.spec.network is not None and found.spec.network not in argv:
        progress_line(f"its network {found.spec.network} is gone: this one is on Docker's bridge")
