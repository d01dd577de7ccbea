"""`wavepool monitor`: watch spawned containers until all have ended, or the time is over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.output import check_output, print_result, progress_line, write_json
from wavepool.cli.pipes import INTERRUPTED
from wavepool.cli.settings import settings_of
from wavepool.cli.steps import read_manifest, until_interrupted
from wavepool.config import Settings
from wavepool.engine.clock import SystemClock
from wavepool.engine.steps.archive import LogArchive
from wavepool.engine.steps.manifest import Manifest
from wavepool.engine.steps.monitor import Monitor
from wavepool.engine.steps.timeouts import TimeoutMarks
from wavepool.errors import InputError
from wavepool.statedir import StateDir
from wavepool.wiring import open_engine


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="monitor", short_help="Watch the containers of one wave to their end.")(monitor)


def monitor(
    containers: Annotated[str, typer.Option(metavar="FILE", help="What `wavepool spawn` printed; - for stdin.")],
    wave_number: Annotated[int | None, typer.Option(help="Watch the containers of this wave alone.")] = None,
    timeout: Annotated[str | None, typer.Option(help="How long to wait at most, as 1800 (the default) or 30m.")] = None,
    poll_interval: options.PollInterval = None,
    output: options.Output = None,
    preserve_logs: Annotated[
        bool | None, typer.Option("--preserve-logs", help="Keep the output of each container.")
    ] = None,
    state_dir: options.StateDirectory = None,
    verbose: options.Verbose = False,
) -> None:
    """Watch containers to their end; those still running at the timeout are stopped.

    Exit code: 0 all succeeded, 1 some failed, 2 some timed out (or bad input), 3 no Docker, 130 Ctrl-C.
    """
    settings = settings_of(
        monitor_timeout=timeout,
        poll_interval=poll_interval,
        preserve_logs=preserve_logs,
        state_dir=state_dir,
    )
    check_output(output)
    manifest = read_manifest(containers, wave_number)
    if not manifest.entries:
        progress_line(f"warning: {manifest.source} has no containers: there is nothing to watch")
    raise typer.Exit(anyio.run(_watch, settings, manifest, output, verbose))


async def _watch(settings: Settings, manifest: Manifest, output: Path | None, verbose: bool) -> int:
    """Watch, and deliver the results whatever happens. The exit code."""
    state_dir = StateDir(settings.state_dir)
    async with open_engine() as (driver, records):
        watcher = Monitor(
            manifest=manifest,
            driver=driver,
            owner=state_dir.owner(),
            survey=records,
            marks=TimeoutMarks(state_dir),
            clock=SystemClock(),
            archive=LogArchive(driver, state_dir, settings.log_dir) if settings.preserve_logs else None,
            grace_s=settings.grace,
            tell=progress_line,
        )
        if verbose:
            progress_line(f"watching {len(manifest.entries)} containers for at most {settings.monitor_timeout:g} s")

        async def work() -> None:
            await watcher.run(timeout_s=settings.monitor_timeout, poll_s=settings.poll_interval)

        try:
            interrupted = await until_interrupted(work)
        except* InputError:
            raise
        except* Exception:
            _deliver(watcher.result(ended="interrupted"), output)
            raise
    _deliver(watcher.result(ended="interrupted" if interrupted else None), output)
    if interrupted:
        progress_line("interrupted: the containers are left as they are; run the same command again to go on")
    return INTERRUPTED if interrupted else watcher.exit_code


def _deliver(result: dict[str, object], output: Path | None) -> None:
    print_result(result)
    if output is not None:
        write_json(output, result)
