"""`wavepool run PLAN`: all waves of a plan, from validation to a clean host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.dryrun import print_rehearsal
from wavepool.cli.output import check_directory, check_output, write_json
from wavepool.cli.request import RawOptions, build_request, read_plan
from wavepool.cli.screen import TICK_S, Screen, open_screen
from wavepool.cli.settings import settings_of
from wavepool.cli.summary import print_summary
from wavepool.config import Settings
from wavepool.engine.cache import keep_iteration
from wavepool.engine.report import RunReport
from wavepool.errors import InfrastructureError, WavepoolError
from wavepool.statedir import StateDir
from wavepool.wiring import Hooks, RunRequest, run_plan


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="run")(run)


def run(
    plan_file: Annotated[str, typer.Argument(metavar="PLAN", help="The wave plan: a JSON file, or - for stdin.")],
    base_image: options.BaseImage = None,
    workspace: options.Workspace = None,
    network: options.Network = None,
    isolate: Annotated[str | None, typer.Option(help="Networks: shared, wave (one each), or none.")] = None,
    environment: options.Environment = None,
    env_file: options.EnvFile = None,
    secret: options.Secret = None,
    mount: options.Mount = None,
    user: options.User = None,
    timeout: Annotated[str | None, typer.Option(help="Bound of a wave (rolling: of a task), as 1800 or 30m.")] = None,
    parallel: options.Parallel = None,
    memory: options.Memory = None,
    cpus: Annotated[str | None, typer.Option(help="CPU limit of every task, in cores.")] = None,
    pids: Annotated[str | None, typer.Option(help="Limit of processes of every task.")] = None,
    budget: Annotated[str | None, typer.Option(help="Memory that tasks may hold together: a size, or auto.")] = None,
    schedule: Annotated[str | None, typer.Option(help="barrier (waves as written) or rolling.")] = None,
    retries: Annotated[str | None, typer.Option(help="Attempts of a task altogether.")] = None,
    retry_on: Annotated[str | None, typer.Option(help="Verdicts that are tried again, with commas.")] = None,
    keep_going: Annotated[bool | None, typer.Option("--keep-going", help="Go on after a failed wave.")] = None,
    driver: Annotated[str | None, typer.Option(help="auto, docker or process.")] = None,
    pull: options.Pull = None,
    run_id: Annotated[
        str | None, typer.Option(help="Id of the run; an unfinished one is gone on with, by the rules it began with.")
    ] = None,
    state_dir: options.StateDirectory = None,
    poll_interval: options.PollInterval = None,
    cache: Annotated[str | None, typer.Option(help="Keep each iteration's results and logs in here.")] = None,
    output: options.Output = None,
    json_lines: Annotated[bool, typer.Option("--json", help="Facts as JSON lines on stdout, the result last.")] = False,
    dry_run: options.DryRun = False,
    verbose: options.Verbose = False,
) -> None:
    """Run all waves of PLAN. Exit code: 0 all succeeded, 1 some failed, 2 bad input, 3 infrastructure, 130 Ctrl-C."""
    settings = settings_of(
        base_image=base_image,
        workspace=workspace,
        network=network,
        isolate=isolate,
        user=user,
        monitor_timeout=timeout,
        parallel=parallel,
        memory=memory,
        cpus=cpus,
        pids=pids,
        budget=budget,
        schedule=schedule,
        retries=retries,
        retry_on=retry_on,
        keep_going=keep_going,
        driver=driver,
        pull=pull,
        state_dir=state_dir,
        poll_interval=poll_interval,
        cache=cache,
    )
    raw = RawOptions(
        environment=environment or (),
        env_files=env_file or (),
        mounts=mount or (),
        secrets=secret or (),
        run_id=run_id,
    )
    check_output(output)
    check_directory(settings.cache, option="--cache")
    plan = read_plan(plan_file, settings)
    request = build_request(settings, plan, raw)
    if dry_run or settings.spawn_dry_run:
        print_rehearsal(request, as_json=json_lines)
        return
    with open_screen(settings, json_lines=json_lines, verbose=verbose) as screen:
        for warning in plan.warnings:
            screen.notice(f"warning: {warning}")
        report = anyio.run(_run, request, screen)
        _deliver(report, settings, screen, output)
    raise typer.Exit(report.exit_code)


async def _run(request: RunRequest, screen: Screen) -> RunReport:
    """The run, with the screen brought up to date beside it."""
    async with anyio.create_task_group() as group:
        group.start_soon(_tick, screen)
        report = await run_plan(
            request, Hooks(listeners=screen.listeners, notice=screen.notice, pulling=screen.pulling)
        )
        group.cancel_scope.cancel()
    return report


async def _tick(screen: Screen) -> None:
    while True:
        await anyio.sleep(TICK_S)
        screen.tick()


def _deliver(report: RunReport, settings: Settings, screen: Screen, output: Path | None) -> None:
    """The result, everywhere it was asked for: the run's directory, --cache, --output, stdout; the summary last.

    Raises:
        InfrastructureError: it could not be written to one of them; the others have it.
    """
    result = report.result()
    troubles: list[WavepoolError] = []
    if "run_id" in result:
        files = StateDir(settings.state_dir).run(result["run_id"])
        with _noting(troubles):
            write_json(files.results, result)
        with _noting(troubles):
            if settings.cache is not None:
                result["cached_in"] = str(keep_iteration(settings.cache, result, files))
    with _noting(troubles):
        if output is not None:
            write_json(output, result)
    with _noting(troubles):
        screen.finish(result)
    print_summary(result, screen.console, state_dir=settings.state_dir)
    if troubles:
        raise InfrastructureError(troubles[0].message, advice=troubles[0].advice) from troubles[0]


@contextmanager
def _noting(troubles: list[WavepoolError]) -> Iterator[None]:
    try:
        yield
    except WavepoolError as error:
        troubles.append(error)
