"""`wavepool pause RUN` and `wavepool unpause RUN`: hold back what a run would start, and let it go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.output import print_result, progress_line
from wavepool.cli.settings import settings_of
from wavepool.engine.control import NobodyHolds
from wavepool.errors import NotNow
from wavepool.listeners.wording import count
from wavepool.monitoring.actions import Actions

NOT_TAKEN = 1
"""Nothing was changed: nobody works on the run, or it is over, or ending."""

AsJson = Annotated[bool, typer.Option("--json", help="What came of it as JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command(name="pause", short_help="Start nothing new of a run that another process works on.")(pause)
    app.command(name="unpause", short_help="Let a paused run start its tasks again.")(unpause)


def pause(run_id: options.Run, state_dir: options.StateDirectory = None, json_result: AsJson = False) -> None:
    """Start nothing new of RUN, which another process works on; what runs goes on. It waits until `wavepool unpause`.

    A run that has nothing left to start ends all the same. Exit code: 0 it is paused, 1 nobody works on it, or it is
    over or ending, 2 bad input, 3 infrastructure.
    """
    found = _changed(Actions(settings_of(state_dir=state_dir).state_dir).pause, run_id)
    before = "" if found["changed"] else " already"
    runs_on = f", {count(found['running'], 'attempt')} may end" if found["running"] else ", and nothing of it runs"
    _tell(found, f"is paused{before}: nothing new starts{runs_on}", json_result)


def unpause(run_id: options.Run, state_dir: options.StateDirectory = None, json_result: AsJson = False) -> None:
    """Let RUN start its tasks again. Exit code: as `wavepool pause`; 0 also where it was not paused."""
    found = _changed(Actions(settings_of(state_dir=state_dir).state_dir).unpause, run_id)
    _tell(found, "goes on" if found["changed"] else "was not paused", json_result)


def _changed(act: Callable[[str], Awaitable[Mapping[str, Any]]], run_id: str) -> Mapping[str, Any]:
    try:
        return anyio.run(act, run_id)
    except (NotNow, NobodyHolds) as error:
        error.exit_code = NOT_TAKEN
        raise


def _tell(found: Mapping[str, Any], words: str, json_result: bool) -> None:
    if json_result:
        print_result(found)
    else:
        progress_line(f"run {found['run_id']} (process {found['pid']}) {words}")
