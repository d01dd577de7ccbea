"""`wavepool doctor`: what works here, what does not, and how to mend it."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wavepool.cli.output import print_result
from wavepool.cli.prove import prove
from wavepool.cli.settings import settings_of
from wavepool.cli.steps import peek_owner
from wavepool.config import Settings
from wavepool.engine.verbs.doctor import Check, Doctor, Expectations, Status
from wavepool.host import read_cgroups, read_memory
from wavepool.statedir import StateDir
from wavepool.wiring import open_engine, process_driver

_COLOURS = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="doctor", short_help="Check Docker and this host, and say how to mend it.")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False,
    base_image: Annotated[str | None, typer.Option(help="The image to look for.")] = None,
    workspace: Annotated[str | None, typer.Option(help="The workspace to look at.")] = None,
    network: Annotated[str | None, typer.Option(help="The network to look for.")] = None,
    state_dir: Annotated[str | None, typer.Option(help="Where journals, logs and locks live.")] = None,
    prove_no_leaks: Annotated[
        bool,
        typer.Option(
            "--prove-no-leaks", help="Kill a small run of its own in the middle, recover it, and compare the host."
        ),
    ] = False,
    driver: Annotated[str | None, typer.Option(help="Of the proof: auto, docker or process.")] = None,
) -> None:
    """Check Docker and this host, and say how to mend what is wrong. Exit code: 0 nothing fails, 1 something does.

    With --prove-no-leaks: run a small plan in a state directory of its own, kill its process (SIGKILL) while tasks run,
    recover it (once by a resume, once by `recover`), and compare all that could be ours with what was there before.
    """
    if prove_no_leaks:
        raise typer.Exit(prove(settings_of(base_image=base_image, driver=driver), as_json=as_json))
    settings = settings_of(base_image=base_image, workspace=workspace, network=network, state_dir=state_dir)
    checks = anyio.run(_examine, settings)
    failed = any(check.status is Status.FAIL for check in checks)
    if as_json:
        print_result({"ok": not failed, "checks": [_entry(check) for check in checks]})
    else:
        _print_table(checks)
    raise typer.Exit(1 if failed else 0)


async def _examine(settings: Settings) -> list[Check]:
    state_dir = StateDir(settings.state_dir)
    expected = Expectations(
        owner=peek_owner(state_dir),
        image=settings.base_image,
        pull=settings.pull,
        network=settings.network,
        workspace=settings.workspace,
        workspace_is_default=settings.workspace == Settings.model_fields["workspace"].default,
        state_dir=settings.state_dir,
        address=os.environ.get("DOCKER_HOST") or None,
    )
    # Opening the process driver makes its directory; a doctor leaves none behind.
    with TemporaryDirectory(prefix="wavepool-doctor-") as scratch:
        async with process_driver(Path(scratch)) as process, open_engine() as (docker, records):
            examining = Doctor(
                docker=docker,
                process=process,
                survey=records,
                expected=expected,
                memory=read_memory(),
                cgroups=read_cgroups(),
            )
            return await examining.examine()


def _entry(check: Check) -> dict[str, str]:
    return {"name": check.name, "status": check.status.value, "seen": check.seen, "fix": check.fix}


def _print_table(checks: list[Check]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        seen = Text(check.seen)
        if check.fix:
            seen.append(f"\n→ {check.fix}", style="italic")
        table.add_row(Text(check.status.value, style=_COLOURS[check.status]), Text(check.name), seen)
    Console().print(table)
