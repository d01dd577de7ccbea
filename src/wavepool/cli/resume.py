"""`wavepool resume RUN`: go on with a run whose process has ended, by its journal alone."""

from __future__ import annotations

import os

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.delivery import deliver, on_screen
from wavepool.cli.output import check_directory, check_output
from wavepool.cli.screen import open_screen
from wavepool.cli.settings import settings_of
from wavepool.engine.report import RunReport
from wavepool.inputs import parse_secrets, read_secret
from wavepool.wiring import Hooks, resume_run


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="resume")(resume)


def resume(
    run_id: options.RunId,
    secret: options.Secret = None,
    state_dir: options.StateDirectory = None,
    poll_interval: options.PollInterval = None,
    cache: options.Cache = None,
    output: options.Output = None,
    json_lines: options.JsonLines = False,
    verbose: options.Verbose = False,
) -> None:
    """Go on with RUN, which a kill, a reboot, Ctrl-C or a failed daemon cut off. Needs no plan and no options.

    What still runs is adopted, what ended meanwhile is collected with its logs and exit code, the rest is started: by
    the rules and on the driver that the run began with. Exit codes are those of `wavepool run`.
    """
    settings = settings_of(state_dir=state_dir, poll_interval=poll_interval, cache=cache)
    check_output(output)
    check_directory(settings.cache, option="--cache")
    sources = parse_secrets(secret or ())
    secrets = {source.name: read_secret(source, os.environ) for source in sources}

    async def work(hooks: Hooks) -> RunReport:
        return await resume_run(run_id, state_dir=settings.state_dir, hooks=hooks, secrets=secrets, signals=True)

    with open_screen(settings, json_lines=json_lines, verbose=verbose) as screen:
        report = anyio.run(on_screen, work, screen)
        deliver(report, settings, screen, output)
    raise typer.Exit(report.exit_code)
