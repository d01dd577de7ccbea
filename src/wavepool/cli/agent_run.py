"""A plan of agents' tasks, run to its end: shared by `task` and `tasks`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import anyio
import typer

from wavepool.cli.agent_options import AgentOptions
from wavepool.cli.agent_pool import in_pool
from wavepool.cli.agent_request import AgentRequest, build_agent_request
from wavepool.cli.dashboard import check_page, page_of_run
from wavepool.cli.delivery import deliver, on_screen
from wavepool.cli.detach import detached
from wavepool.cli.dryrun import print_rehearsal
from wavepool.cli.output import check_directory, check_output, progress_line
from wavepool.cli.request import RawOptions
from wavepool.cli.screen import open_screen
from wavepool.config import Settings
from wavepool.engine.recover.dead_runs import dead_run_lines
from wavepool.plan import Plan
from wavepool.statedir import StateDir, new_run_id
from wavepool.wiring import run_plan
from wavepool.wiring.learning import read_history


def asked_for(plan: Plan, settings: Settings, shared: AgentOptions, *, pool: str | None = None) -> AgentRequest:
    """What is to be run, checked; in the pool of an agent type, where one is named.

    Raises:
        InputError: something that was given is wrong.
    """
    raw = RawOptions(
        environment=shared.environment or (),
        env_files=shared.env_file or (),
        mounts=shared.mount or (),
        secrets=shared.secret or (),
        run_id=shared.run_id,
    )
    check_output(shared.output)
    check_page(wanted=shared.dashboard, detach=shared.detach)
    check_directory(settings.cache, option="--cache")
    asked = build_agent_request(settings, plan, raw, no_key=shared.no_key)
    return asked if pool is None else in_pool(asked, pool, shared)


def run_agents(plan: Plan, settings: Settings, shared: AgentOptions, *, pool: str | None = None) -> None:
    """Run it, or only say what would be done.

    Raises:
        WavepoolError: as `run_plan`, or before anything starts.
        Exit: with the run's exit code.
    """
    asked = asked_for(plan, settings, shared, pool=pool)
    request = asked.request
    if shared.dry_run:
        for line in asked.notices:
            progress_line(line)
        print_rehearsal(request, read_history(settings.state_dir, progress_line), as_json=shared.json_lines)
        return
    held = None
    if shared.detach:
        request = replace(request, run_id=request.run_id or new_run_id(datetime.now(UTC)))
        held = detached(StateDir(request.state_dir).run(request.run_id or ""))
    with open_screen(settings, json_lines=shared.json_lines, verbose=shared.verbose) as screen:
        for line in (*asked.notices, *(f"warning: {each}" for each in plan.warnings)):
            screen.notice(line)
        for line in dead_run_lines(StateDir(settings.state_dir), but=request.run_id):
            screen.notice(line)
        with page_of_run(settings, screen.notice, wanted=shared.dashboard):
            report = anyio.run(on_screen, partial(run_plan, request), screen, held)
        deliver(report, settings, screen, shared.output, warnings=plan.warnings)
    raise typer.Exit(report.exit_code)
