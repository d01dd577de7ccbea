"""`wavepool cleanup`: remove what is ours of one wave."""

from __future__ import annotations

from typing import Annotated

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.output import check_output, print_result, progress_line, write_json
from wavepool.cli.pipes import INTERRUPTED
from wavepool.cli.settings import settings_of
from wavepool.cli.steps import infrastructure_exits, peek_owner, read_manifest, until_interrupted
from wavepool.config import Settings
from wavepool.engine.clock import SystemClock
from wavepool.engine.steps.archive import LogArchive
from wavepool.engine.steps.cleanup import Cleaner, Keep, Selection, cleanup_json
from wavepool.errors import SettingError
from wavepool.inputs import parse_pattern, parse_run_id
from wavepool.statedir import StateDir
from wavepool.wiring import open_engine

CRITICAL = 2


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="cleanup", short_help="Stop and remove the containers of one wave.")(cleanup)


def cleanup(
    wave_number: Annotated[int, typer.Option(help="The wave to clean up.")],
    pattern: Annotated[
        str | None, typer.Option(help="Only names that fit, as cfn-wave1-*; never more than ours.")
    ] = None,
    containers: Annotated[str | None, typer.Option(metavar="FILE", help="Only containers of this manifest.")] = None,
    preserve_failed_logs: Annotated[
        bool | None,
        typer.Option(
            "--preserve-failed-logs/--no-preserve-failed-logs", help="Keep logs of what did not succeed (the default)."
        ),
    ] = None,
    preserve_all_logs: Annotated[bool, typer.Option("--preserve-all-logs", help="Keep all logs.")] = False,
    output_dir: Annotated[str | None, typer.Option(help="Where logs go; else CFN_LOG_DIR, else the run's own.")] = None,
    run_id: Annotated[str | None, typer.Option(help="Only containers of this run or spawn.")] = None,
    state_dir: options.StateDirectory = None,
    output: options.Output = None,
    dry_run: options.DryRun = False,
    verbose: options.Verbose = False,
) -> None:
    """Stop and remove the containers of one wave that are ours; live runs and all that is not ours are left alone.

    Exit code: 0 all is gone, 1 some could not be removed, 2 most could not (or bad input, or no Docker).
    """
    settings = settings_of(cleanup_preserve_failed=preserve_failed_logs, log_dir=output_dir, state_dir=state_dir)
    check_output(output)
    if wave_number < 0:
        raise SettingError("--wave-number", wave_number, "a wave's number")
    selection = Selection(
        wave=wave_number,
        run_id=None if run_id is None else parse_run_id(run_id),
        pattern=None if pattern is None else parse_pattern(pattern, wave_number, prefix=settings.name_prefix),
        manifest=None if containers is None else read_manifest(containers, wave_number),
    )
    keep = Keep(failed=settings.cleanup_preserve_failed, everything=preserve_all_logs)
    with infrastructure_exits(CRITICAL):
        result, exit_code = anyio.run(_clean, settings, selection, keep, dry_run or settings.cleanup_dry_run, verbose)
    print_result(result)
    if output is not None:
        write_json(output, result)
    if not result["errors"] and not exit_code:
        progress_line(str(result["summary"]))
    raise typer.Exit(exit_code)


async def _clean(
    settings: Settings, selection: Selection, keep: Keep, dry_run: bool, verbose: bool
) -> tuple[dict[str, object], int]:
    """(the report, the exit code)."""
    state_dir = StateDir(settings.state_dir)
    clock = SystemClock()
    async with open_engine() as (driver, records):
        cleaner = Cleaner(
            driver=driver,
            owner=peek_owner(state_dir),
            state_dir=state_dir,
            survey=records,
            archive=LogArchive(driver, state_dir, settings.log_dir),
            grace_s=settings.grace,
            shared_network=settings.network,
            tell=progress_line,
            detail=progress_line if verbose else _say_nothing,
        )
        if dry_run:
            actions = cleaner.rehearse(await cleaner.find(selection), keep)
            report = cleanup_json(cleaner.cleaned, wave=selection.wave, at=clock.now().utc)
            removals = sum(action["action"] == "remove_container" for action in actions)
            summary = f"Would remove {removals} containers; nothing was done"
            return {**report, "summary": summary, "dry_run": True, "actions": actions}, 0

        async def work() -> None:
            await cleaner.clean(selection, keep)

        interrupted = cleaner.cleaned.interrupted = await until_interrupted(work)
    report = cleanup_json(cleaner.cleaned, wave=selection.wave, at=clock.now().utc)
    return report, INTERRUPTED if interrupted else cleaner.cleaned.exit_code


def _say_nothing(_: str) -> None:
    return None
