"""`wavepool merge RUN`: put the branches of a run's tasks together."""

from __future__ import annotations

from typing import Annotated

import typer

from wavepool.cli import options
from wavepool.cli.columns import say
from wavepool.cli.output import print_result
from wavepool.cli.settings import settings_of
from wavepool.engine.history.runs import find_run
from wavepool.engine.merging import MergePlan, MergeReport, merge
from wavepool.errors import InputError
from wavepool.statedir import StateDir
from wavepool.workspace.repository import Repository

SOME_CONFLICT = 1
"""Exit code: at least one branch is not in it."""

FILES_TOLD = 10


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="merge", short_help="Put the branches of a run's tasks together.")(merge_run)


def merge_run(
    run: options.Run,
    into: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Merge into this branch; wavepool/RUN unless told.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would merge and what would conflict; change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What came of it as JSON.")] = False,
    state_dir: options.StateDirectory = None,
) -> None:
    """Merge the branches of RUN's successful tasks, in the order of its plan; one that conflicts is left out and told.

    No checkout is written to, but one of BRANCH itself, which must be clean. Exit code: 0 all are in it, 1 some are
    not, 2 bad input, 3 infrastructure.
    """
    history = find_run(StateDir(settings_of(state_dir=state_dir).state_dir), run)
    if not history.has_journal():
        raise InputError(f"run {history.id} has no journal", advice="What `wavepool spawn` starts leaves no branches.")
    plan = MergePlan.of(history.facts())
    report = merge(Repository.at(plan.workspace), plan, into=into, dry_run=dry_run)
    if as_json:
        print_result(report.result())
    else:
        _print(report)
        _print_rest(plan)
    raise typer.Exit(SOME_CONFLICT if report.conflicts else 0)


def _print_rest(plan: MergePlan) -> None:
    """What was not tried: branches of what did not succeed, and what a resume would still bring."""
    for each in plan.unsuccessful:
        say(f"{each.task_id} did not succeed; to take what it left as it is: git merge {each.name}")
    if plan.unfinished:
        say(f"the run is not finished: `wavepool resume {plan.run_id}` goes on with it; then merge again")


def _print(report: MergeReport) -> None:
    would = "would be " if report.dry_run else ""
    for each in report.merged:
        say(f"{'was there already' if each.already else f'{would}merged'}  {each.branch.task_id}  {each.branch.name}")
    for conflict in report.conflicts:
        say(f"{would}left out  {conflict.branch.task_id}  {conflict.branch.name}")
        if conflict.problem:
            say(f"  {conflict.problem}")
        for name in conflict.files[:FILES_TOLD]:
            say(f"  conflict in {name}")
        if len(conflict.files) > FILES_TOLD:
            say(f"  and in {len(conflict.files) - FILES_TOLD} more")
    merged, total = len(report.merged), len(report.merged) + len(report.conflicts)
    if report.dry_run:
        say(f"nothing was changed: {merged} of {total} would be on {report.target}")
        return
    say(f"{merged} of {total} on {report.target}, commit {report.after[:12]}")
    if report.checkout is not None:
        say(f"the checkout {report.checkout} is at it")
    for conflict in report.conflicts:
        say(f"merge {conflict.branch.task_id} by hand: git switch {report.target} && git merge {conflict.branch.name}")
