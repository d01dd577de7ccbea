"""`wavepool recover`: what a dead orchestrator left, what is to be done about it, and doing it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wavepool.cli import options
from wavepool.cli.output import print_result, progress_line
from wavepool.cli.settings import settings_of
from wavepool.cli.steps import INTERRUPTED, peek_owner, until_interrupted
from wavepool.config import Settings
from wavepool.engine.clock import SystemClock
from wavepool.engine.recover.classify import Terms, classify
from wavepool.engine.recover.findings import Finding, Recovery
from wavepool.engine.recover.reaper import Reaper
from wavepool.engine.recover.report import RecoveryReport
from wavepool.engine.recover.survey import survey
from wavepool.errors import InputError, SettingError
from wavepool.inputs import parse_run_id
from wavepool.journal.base import Journal
from wavepool.listeners.wording import printable
from wavepool.statedir import RunDir, StateDir
from wavepool.units import format_duration, parse_duration
from wavepool.wiring import GoingOn, Hooks, RecoveryTools, journal_of, open_recovery, resume_run

DEFAULT_GRACE = "10m"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="recover")(recover)


def recover(
    grace: Annotated[
        str, typer.Option(help="How long a dead run is left for `wavepool resume`, as 600 or 10m; 0s for not at all.")
    ] = DEFAULT_GRACE,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with every unfinished run, to its end.")] = False,
    run_id: Annotated[str | None, typer.Option(help="Only this run, and nothing that belongs to no run.")] = None,
    driver: Annotated[str | None, typer.Option(help="auto (all), or the only one to look at: docker, process.")] = None,
    state_dir: options.StateDirectory = None,
    dry_run: options.DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was found and done as JSON.")] = False,
) -> None:
    """Find what dead orchestrators left (containers, processes, networks, slots, secrets), and take it away.

    Live runs, spawned containers within their lifetime, stacks, and all that is not this state directory's are left
    alone. A dead run is left for `wavepool resume` until it has been dead for longer than the grace; then its logs are
    kept, what runs is stopped, all of it is removed, and its journal says so. Exit code: 0 nothing is left to be done,
    1 something could not be removed, 3 the Docker daemon is away.
    """
    settings = settings_of(state_dir=state_dir, driver=driver)
    terms = Terms(grace_s=_grace_s(grace), adopt=resume)
    only = None if run_id is None else parse_run_id(run_id)
    report, interrupted = anyio.run(_recover, settings, terms, only, dry_run)
    for name, why in report.recovery.away:
        progress_line(f"{'note' if name in report.unasked else 'error'}: what {name} has is not known: {why}")
    if as_json:
        print_result(report.result())
    else:
        _print(report)
    raise typer.Exit(INTERRUPTED if interrupted else report.exit_code)


def _grace_s(text: str) -> float:
    if text.strip().lower() in ("0", "0s", "0m"):
        return 0.0
    try:
        return parse_duration(text)
    except InputError:
        raise SettingError("--grace", text, "a duration such as 90, 10m or 12h, or 0s") from None


async def _recover(settings: Settings, terms: Terms, run_id: str | None, dry_run: bool) -> tuple[RecoveryReport, bool]:
    """(what came of it, whether the user interrupted it)."""
    state_dir = StateDir(settings.state_dir)
    owner = peek_owner(state_dir)
    async with open_recovery(state_dir, driver=settings.driver) as tools:
        snapshot = await survey(
            owner=owner,
            state_dir=state_dir,
            holdings=tools.holdings,
            at=SystemClock().now().utc,
            run_id=run_id,
            unasked=tools.unasked,
        )
        recovery = classify(snapshot, terms)
        unasked = frozenset(tools.unasked)
        if dry_run:
            return RecoveryReport(owner=owner, grace_s=terms.grace_s, recovery=recovery, unasked=unasked), False
        reaper = _reaper(settings, state_dir, owner, tools)
        interrupted = await _perform(reaper, recovery, adopts=terms.adopt)
        return (
            RecoveryReport(
                owner=owner, grace_s=terms.grace_s, recovery=recovery, reaped=reaper.reaped, unasked=unasked
            ),
            interrupted,
        )


def _reaper(settings: Settings, state_dir: StateDir, owner: str, tools: RecoveryTools) -> Reaper:
    def journals(files: RunDir) -> AbstractAsyncContextManager[Journal]:
        return journal_of(files, owner)

    async def resume(run_id: str) -> str:
        how = GoingOn(hooks=Hooks(notice=progress_line), signals=True)
        report = await resume_run(run_id, state_dir=settings.state_dir, how=how)
        return report.outcome.value if report.outcome is not None else "unfinished"

    return Reaper(
        owner=owner,
        state_dir=state_dir,
        engines=tools.engines,
        clock=SystemClock(),
        journals=journals,
        resume=resume,
        grace_s=settings.grace,
        tell=progress_line,
    )


async def _perform(reaper: Reaper, recovery: Recovery, *, adopts: bool) -> bool:
    """True if the user interrupted it. A run that is gone on with takes Ctrl-C itself: it drains, then stops."""

    async def work() -> None:
        await reaper.perform(recovery)

    if adopts:
        await work()
        return False
    return await until_interrupted(work)


# -- for people --


def _print(report: RecoveryReport) -> None:
    console = Console()
    for run in report.recovery.runs:
        console.print(Text(f"run {printable(run.run.id)}: {printable(run.why)}", style="bold"))
        console.print(_table(report, run.findings, run.why))
    if report.recovery.loose:
        console.print(Text("of no run:", style="bold"))
        console.print(_table(report, report.recovery.loose, ""))
    console.print(Text(report.summary() + "."))


def _table(report: RecoveryReport, findings: Sequence[Finding], known: str) -> Table:
    """What is there, and what is done about it; why only where that is not the `known` reason of the whole run."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for last in (False, False, False, False, True):
        table.add_column(overflow="fold", no_wrap=not last)
    for finding in findings:
        did = Text(_acts(report, finding))
        if finding.why != known:
            did.append(f" ({printable(finding.why)})", style="italic")
        state = " ".join(part for part in (finding.condition, _age(report, finding)) if part)
        table.add_row("", Text(finding.what), Text(printable(finding.name)), Text(state), did)
    return table


def _age(report: RecoveryReport, finding: Finding) -> str:
    if finding.since is None:
        return ""
    return format_duration(max(0.0, (report.recovery.at - finding.since).total_seconds()))


def _acts(report: RecoveryReport, finding: Finding) -> str:
    if not finding.acts:
        return "left alone"
    acts = list(finding.acts)
    if report.reaped is not None:
        acts = [action for done, action in report.reaped.done if done is finding]
    words = ", ".join(action.value.replace("_", " ") for action in acts) or "nothing"
    return f"{'would' if report.reaped is None else 'done'}: {words}"
