"""`wavepool run PLAN`: all waves of a plan, from validation to a clean host."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.agent_request import furnish
from wavepool.cli.dashboard import Dashboard, check_page, page_of_run
from wavepool.cli.delivery import deliver, on_screen
from wavepool.cli.detach import detached
from wavepool.cli.dryrun import print_rehearsal
from wavepool.cli.learned import Lesson, lesson_of
from wavepool.cli.output import check_directory, check_output, progress_line
from wavepool.cli.request import RawOptions, build_request, read_plan
from wavepool.cli.screen import open_screen
from wavepool.cli.settings import settings_of
from wavepool.cli.warmth import WarmCommand
from wavepool.config import Settings
from wavepool.engine.recover.dead_runs import dead_run_lines
from wavepool.learning import History
from wavepool.statedir import StateDir, new_run_id
from wavepool.wiring import RunRequest, run_plan
from wavepool.wiring.learning import read_history


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="run", cls=WarmCommand, short_help="Run all waves of a plan.")(run)


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
    lifetime: Annotated[str | None, typer.Option(help="Hard lifetime of every task, as 12h.")] = None,
    preset: Annotated[str | None, typer.Option(help="Limits and watchdog: none, or guarded.")] = None,
    watch_pids: Annotated[str | None, typer.Option(help="Soft limit of processes: 200, 80%:warn, off.")] = None,
    watch_memory: Annotated[str | None, typer.Option(help="Soft limit of memory: 80%, 6g:warn, off.")] = None,
    watch_lifetime: Annotated[str | None, typer.Option(help="Soft lifetime, as 11h:warn.")] = None,
    watch_progress: Annotated[str | None, typer.Option(help="How long without output and CPU time, as 10m.")] = None,
    budget: Annotated[str | None, typer.Option(help="Memory that tasks may hold together: a size, or auto.")] = None,
    schedule: Annotated[str | None, typer.Option(help="barrier (waves as written) or rolling.")] = None,
    start_order: Annotated[
        str | None, typer.Option(help="Rolling: learned (what lasts longest first), or plan.")
    ] = None,
    warm: Annotated[
        str | None, typer.Option(metavar="[N]", help="Start up to N containers ahead of their tasks; N may be missing.")
    ] = None,
    retries: Annotated[str | None, typer.Option(help="Attempts of a task altogether.")] = None,
    retry_on: Annotated[str | None, typer.Option(help="Verdicts that are tried again, with commas.")] = None,
    keep_going: Annotated[bool | None, typer.Option("--keep-going", help="Go on after a failed wave.")] = None,
    keep_failed: Annotated[
        bool | None, typer.Option("--keep-failed", help="Keep the file system of what did not succeed, for exec.")
    ] = None,
    workspace_kind: Annotated[
        str | None, typer.Option(help="shared (the workspace itself); worktree or clone (a copy for each task).")
    ] = None,
    egress: Annotated[
        list[str] | None, typer.Option(help="A host that agents may reach beside their own; any: all. Repeatable.")
    ] = None,
    run_max_cost: Annotated[
        str | None, typer.Option(help="US dollars of all agents; all stops once they have told more.")
    ] = None,
    run_max_tokens: Annotated[str | None, typer.Option(help="Tokens of all agents together, likewise.")] = None,
    allow_host: Annotated[
        bool | None, typer.Option("--allow-host", help="Agents may run without containers, if need be.")
    ] = None,
    no_key: Annotated[bool, typer.Option("--no-key", help="Go on where an agent's API key is not there.")] = False,
    driver: Annotated[str | None, typer.Option(help="auto, docker or process.")] = None,
    pull: options.Pull = None,
    run_id: Annotated[
        str | None, typer.Option(help="Id of the run; an unfinished one is gone on with, by the rules it began with.")
    ] = None,
    state_dir: options.StateDirectory = None,
    poll_interval: options.PollInterval = None,
    cache: options.Cache = None,
    detach: options.Detach = False,
    dashboard: Dashboard = False,
    output: options.Output = None,
    json_lines: options.JsonLines = False,
    dry_run: options.DryRun = False,
    learn: Annotated[bool, typer.Option("--learn", help="Propose memory limits from what was seen.")] = False,
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
        lifetime=lifetime,
        preset=preset,
        watch_pids=watch_pids,
        watch_memory=watch_memory,
        watch_lifetime=watch_lifetime,
        watch_progress=watch_progress,
        budget=budget,
        schedule=schedule,
        start_order=start_order,
        warm=warm,
        retries=retries,
        retry_on=retry_on,
        keep_going=keep_going,
        keep_failed=keep_failed,
        workspace_kind=workspace_kind,
        egress=egress,
        run_max_cost=run_max_cost,
        run_max_tokens=run_max_tokens,
        allow_host=allow_host,
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
    check_page(wanted=dashboard, detach=detach)
    check_directory(settings.cache, option="--cache")
    plan = read_plan(plan_file, settings)
    ready = furnish(plan, settings, raw, no_key=no_key)
    request = build_request(settings, ready.plan, ready.raw)
    if dry_run or settings.spawn_dry_run:
        history = read_history(settings.state_dir, progress_line)
        lesson = _lesson(request, history, settings) if learn else None
        print_rehearsal(request, history, as_json=json_lines, lesson=lesson)
        return
    held = None
    if detach:
        run_id = request.run_id or new_run_id(datetime.now(UTC))
        request = replace(request, run_id=run_id)
        held = detached(StateDir(request.state_dir).run(run_id))
    with open_screen(settings, json_lines=json_lines, verbose=verbose) as screen:
        for line in (*ready.notices, *(f"warning: {warning}" for warning in plan.warnings)):
            screen.notice(line)
        for line in dead_run_lines(StateDir(settings.state_dir), but=request.run_id):
            screen.notice(line)
        with page_of_run(settings, screen.notice, wanted=dashboard):
            report = anyio.run(on_screen, partial(run_plan, request), screen, held)
        history = read_history(settings.state_dir, screen.notice) if learn else History()
        lesson = _lesson(request, history, settings) if learn else None
        deliver(report, settings, screen, output, warnings=plan.warnings, lesson=lesson)
    raise typer.Exit(report.exit_code)


def _lesson(request: RunRequest, history: History, settings: Settings) -> Lesson:
    return lesson_of(request.plan.tasks, request.surroundings.image, history, settings)
