"""`wavepool attach RUN`: see a run that another process works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.delivery import ticking
from wavepool.cli.output import check_output, write_json
from wavepool.cli.pipes import CLOSED_PIPE, INTERRUPTED, STDERR, STDOUT, until_gone
from wavepool.cli.screen import Screen, open_screen
from wavepool.cli.settings import settings_of
from wavepool.cli.steps import until_interrupted
from wavepool.cli.summary import print_summary
from wavepool.core.facts import Stamped
from wavepool.engine.control import ConnectionCut, Following, NobodyHolds, open_control
from wavepool.engine.history.runs import RunHistory, find_run
from wavepool.engine.listener import tell
from wavepool.statedir import RunDir, StateDir

PIECE = 1000
"""Facts of an ended run that are read at a time."""

CUTS_MAX = 5
"""How often a connection may be cut, one after the other, without a single new fact in between."""


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="attach", short_help="Show a run that another process works on, to its end.")(attach)


def attach(
    run_id: options.Run,
    state_dir: options.StateDirectory = None,
    poll_interval: options.PollInterval = None,
    output: options.Output = None,
    json_lines: options.JsonLines = False,
    verbose: options.Verbose = False,
) -> None:
    """Show RUN, which another process works on, from its first fact to its end; ends with its result and exit code.

    Ctrl-C detaches, and the run goes on; so does a reader that goes away. Of a run that has ended the result is told.
    """
    settings = settings_of(state_dir=state_dir, poll_interval=poll_interval)
    check_output(output)
    files = find_run(StateDir(settings.state_dir), run_id).files
    with open_screen(settings, json_lines=json_lines, verbose=verbose) as screen:
        shown = (STDOUT,) if json_lines else (STDOUT, STDERR)
        watching = _Watching(files, screen, readers=() if output is not None else shown)
        if anyio.run(until_interrupted, watching.to_the_end):
            screen.notice(
                f"detached: run {files.id} goes on. `wavepool attach {files.id}` shows it again, "
                f"`wavepool cancel {files.id}` ends it."
            )
            raise typer.Exit(INTERRUPTED)
        if watching.left:
            raise typer.Exit(CLOSED_PIPE)
        result = watching.result
        if output is not None:
            write_json(output, result)
        screen.finish(result)
        print_summary(result, screen.console, state_dir=settings.state_dir)
    raise typer.Exit(result["exit_code"])


class _Watching:
    """One look at a run, over as many connections as it takes.

    Attributes:
        result: the run's, at its end.
        left: all `readers`, descriptors of those it is shown to, went away before that; none are never looked at.
    """

    def __init__(self, files: RunDir, screen: Screen, *, readers: Sequence[int]) -> None:
        self.result: Mapping[str, Any] = {}
        self.left = False
        self._readers = readers
        self._files = files
        self._screen = screen
        self._since = 0

    async def to_the_end(self) -> None:
        """Show all there is to see.

        Raises:
            InfrastructureError: the process that works on the run died, or does not answer.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(ticking, self._screen)
            if self._readers:
                group.start_soon(self._leave, group.cancel_scope)
            try:
                self.result = await self._followed()
            except NobodyHolds:
                self.result = await self._from_journal()
            group.cancel_scope.cancel()

    async def _leave(self, scope: anyio.CancelScope) -> None:
        """End the look when nobody sees it any more, also while there is nothing to show."""
        await until_gone(*self._readers)
        self.left = True
        scope.cancel()

    async def _followed(self) -> Mapping[str, Any]:
        cuts = 0
        while True:
            before = self._since
            try:
                async with open_control(self._files) as control:
                    return await self._show(await control.follow(self._since))
            except ConnectionCut:  # too slow for it; or it died, and then nobody holds it
                cuts = cuts + 1 if self._since == before else 0
                if cuts >= CUTS_MAX:
                    raise

    async def _show(self, following: Following) -> Mapping[str, Any]:
        async for number, stamped in following:
            self._since = number
            tell(self._screen.listeners, [stamped])
        return following.result or {}

    async def _from_journal(self) -> Mapping[str, Any]:
        history = RunHistory(self._files)
        while piece := await anyio.to_thread.run_sync(self._piece, history):
            self._since += len(piece)
            tell(self._screen.listeners, piece)
        report = await anyio.to_thread.run_sync(history.report)
        if report.outcome is None:
            self._screen.notice(
                f"no process works on run {self._files.id} any more, and it is not over: "
                f"`wavepool resume {self._files.id}` goes on with it"
            )
        return report.result()

    def _piece(self, history: RunHistory) -> list[Stamped]:
        return list(islice(history.facts(self._since + 1), PIECE))
