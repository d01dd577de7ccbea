"""`wavepool resume RUN` and `wavepool retry RUN`: go on with a run by its journal alone."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.dashboard import Dashboard, check_page, page_of_run
from wavepool.cli.dead_fixes import lines_of_its_fix
from wavepool.cli.delivery import deliver, on_screen
from wavepool.cli.detach import detached
from wavepool.cli.live_retry import retried_live
from wavepool.cli.output import check_directory, check_output, remark
from wavepool.cli.resume_fix import fix_meant, resume_fix
from wavepool.cli.screen import open_screen
from wavepool.cli.settings import settings_of
from wavepool.config import Settings
from wavepool.engine.history.runs import find_run
from wavepool.engine.report import RunReport
from wavepool.errors import InputError
from wavepool.inputs import parse_secrets, read_secret
from wavepool.statedir import RunDir, StateDir
from wavepool.wiring import GoingOn, Hooks, resume_run, retry_run


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """How it is shown, and where it goes on."""

    json_lines: bool
    verbose: bool
    detach: bool
    dashboard: bool


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command(name="resume", short_help="Go on with a run or a fix that was cut off, by its journal alone.")(resume)
    app.command(name="retry", short_help="Try tasks of a run again that did not succeed, and go on.")(retry)


def resume(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run's or a fix's id, the start of one, or latest.")],
    secret: options.Secret = None,
    detach: options.Detach = False,
    dashboard: Dashboard = False,
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

    The id of a fix goes on with all of that: check, run or merge, whatever it was at. Exit codes are those of
    `wavepool fix`; --detach, --cache and --poll-interval are refused.
    """
    settings = _settings(state_dir, poll_interval, cache, output)
    check_page(wanted=dashboard, detach=detach)
    if (story := fix_meant(StateDir(settings.state_dir), run_id)) is not None:
        refused = {"--detach": detach, "--cache": cache is not None, "--poll-interval": poll_interval is not None}
        code = resume_fix(
            story,
            settings,
            secret=secret or (),
            output=output,
            json_lines=json_lines,
            verbose=verbose,
            dashboard=dashboard,
            refused=refused,
        )
        raise typer.Exit(code)

    files = find_run(StateDir(settings.state_dir), run_id).files

    async def work(how: GoingOn) -> RunReport:
        return await resume_run(files.id, state_dir=settings.state_dir, how=how)

    how = _How(json_lines=json_lines, verbose=verbose, detach=detach, dashboard=dashboard)
    _go_on(work, files, settings, secret or (), output, how)


def retry(
    run_id: options.Run,
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="[TASK]...", help="Tasks to try again, by ids or the start of one.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that did not succeed, instead of TASKs.")] = False,
    secret: options.Secret = None,
    detach: options.Detach = False,
    dashboard: Dashboard = False,
    state_dir: options.StateDirectory = None,
    poll_interval: options.PollInterval = None,
    cache: options.Cache = None,
    output: options.Output = None,
    json_lines: options.JsonLines = False,
    verbose: options.Verbose = False,
) -> None:
    """Try tasks of RUN again, and all that was skipped because of them; then go on with it, as `wavepool resume`.

    Where a process works on RUN that one does it, and this command returns when it has taken it: --json and --detach
    then print its answer, --verbose names the tasks, and --secret, --output, --cache, --poll-interval and --dashboard,
    which only that process could heed, are refused. Each task has all attempts that the rules of the run allow again.
    Earlier verdicts stay in the journal and, as `retried_because`, in the result.
    """
    settings = _settings(state_dir, poll_interval, cache, output)
    check_page(wanted=dashboard, detach=detach)
    if failed == bool(tasks):
        raise InputError(
            f"retry takes either --failed or tasks by their ids, and was given {'both' if failed else 'neither'}",
            advice=f"`wavepool retry {run_id} --failed` tries all again that did not succeed; "
            f"`wavepool show {run_id}` lists the tasks.",
        )

    files = find_run(StateDir(settings.state_dir), run_id).files
    given = {
        "--secret": bool(secret),
        "--output": output is not None,
        "--cache": cache is not None,
        "--poll-interval": poll_interval is not None,
        "--dashboard": dashboard,
    }
    named = [option for option, typed in given.items() if typed]
    if retried_live(files, tasks or (), given=named, json_result=json_lines, detach=detach, verbose=verbose):
        return

    async def work(how: GoingOn) -> RunReport:
        return await retry_run(files.id, tasks or (), state_dir=settings.state_dir, how=how)

    how = _How(json_lines=json_lines, verbose=verbose, detach=detach, dashboard=dashboard)
    _go_on(work, files, settings, secret or (), output, how)


def _settings(state_dir: str | None, poll_interval: str | None, cache: str | None, output: Path | None) -> Settings:
    settings = settings_of(state_dir=state_dir, poll_interval=poll_interval, cache=cache)
    check_output(output)
    check_directory(settings.cache, option="--cache")
    return settings


def _go_on(
    work: Callable[[GoingOn], Awaitable[RunReport]],
    files: RunDir,
    settings: Settings,
    secret: Sequence[str],
    output: Path | None,
    how: _How,
) -> None:
    secrets = {source.name: read_secret(source, os.environ) for source in parse_secrets(secret)}
    held = detached(files) if how.detach else None

    async def with_hooks(hooks: Hooks) -> RunReport:
        return await work(GoingOn(hooks=hooks, secrets=secrets, signals=True, learn=settings.learn_history))

    with open_screen(settings, json_lines=how.json_lines, verbose=how.verbose) as screen:
        with page_of_run(settings, screen.notice, wanted=how.dashboard):
            report = anyio.run(on_screen, with_hooks, screen, held)
        deliver(report, settings, screen, output)
    for line in lines_of_its_fix(StateDir(settings.state_dir), files.id):
        remark(line)
    raise typer.Exit(report.exit_code)
