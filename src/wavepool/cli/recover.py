"""`wavepool recover`: what a dead orchestrator left, what is to be done about it, and doing it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated

import anyio
import rich.console
import typer
from rich.text import Text

from wavepool.cli import options
from wavepool.cli.columns import say
from wavepool.cli.dead_fixes import clear_dead_fixes
from wavepool.cli.output import print_result, progress_line
from wavepool.cli.pipes import INTERRUPTED
from wavepool.cli.settings import settings_of
from wavepool.cli.steps import peek_owner, until_interrupted
from wavepool.config import Settings
from wavepool.engine.clock import SystemClock
from wavepool.engine.history.runs import open_history
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
    app.command(name="recover", short_help="Find what dead orchestrators left, and take it away.")(recover)


def recover(
    grace: Annotated[
        str | None,
        typer.Option(help="How long a dead run is left for `wavepool resume`, as 600 or 10m (10m); 0s for not at all."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with every unfinished run, to its end; not with --grace.")
    ] = False,
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
    if resume and grace is not None:
        raise SettingError(
            "--grace",
            grace,
            "no grace beside --resume, which goes on with every unfinished run, whatever its age",
            advice="Leave out one of the two: `wavepool recover --grace 0s` gives dead runs up instead.",
        )
    terms = Terms(grace_s=parse_grace(DEFAULT_GRACE if grace is None else grace), adopt=resume)
    only = None if run_id is None else parse_run_id(run_id)
    report, interrupted = anyio.run(_recover, settings, terms, only, dry_run)
    if only is not None and report.knows_nothing:
        open_history(StateDir(settings.state_dir), only)
    for name, why in report.recovery.away:
        progress_line(f"{'note' if name in report.unasked else 'error'}: what {name} has is not known: {why}")
    fixes = [] if only is not None or interrupted else clear_dead_fixes(StateDir(settings.state_dir), dry_run=dry_run)
    if as_json:
        print_result({**report.result(), "fixes": [each.result() for each in fixes]})
    else:
        _print(report)
        for fix in fixes:
            say(printable(str(fix)))
    resisted = any(each.resisted for each in fixes)
    raise typer.Exit(INTERRUPTED if interrupted else report.exit_code or int(resisted))


def parse_grace(text: str) -> float:
    """Seconds of a grace; unlike a duration it may be 0. Raises SettingError."""
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
        how = GoingOn(hooks=Hooks(notice=progress_line), signals=True, learn=settings.learn_history)
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


class _Console(rich.console.Console):
    """Rich ends the process with exit code 1 when nobody reads any more, which here would mean that something stays."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _print(report: RecoveryReport) -> None:
    """Lines that are never broken, as a column of causes in the width of a terminal is a column of single words."""
    console = _Console(soft_wrap=True, highlight=False)
    for run in report.recovery.runs:
        console.print(Text(f"run {printable(run.run.id)}: {printable(run.why)}", style="bold"))
        _print_findings(console, report, run.findings, run.why)
    if report.recovery.loose:
        console.print(Text("of no run:", style="bold"))
        _print_findings(console, report, report.recovery.loose, "")
    console.print(Text(report.summary() + "."))


def _print_findings(console: _Console, report: RecoveryReport, findings: Sequence[Finding], known: str) -> None:
    """What is there, and what is done about it; of its cause what the `known` one of the whole run does not say."""
    cells = [(each.what, printable(each.name), _state(report, each)) for each in findings]
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    for finding, row in zip(findings, cells, strict=True):
        line = Text("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
        line.append(f"  {_acts(report, finding)}")
        more = finding.why.removeprefix(known).lstrip("; ")
        if more:
            line.append(f" ({printable(more)})", style="italic")
        console.print(line)


def _state(report: RecoveryReport, finding: Finding) -> str:
    return " ".join(part for part in (finding.condition, _age(report, finding)) if part)


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
