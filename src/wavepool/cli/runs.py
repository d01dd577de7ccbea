"""`wavepool runs`: what was run with this state directory, and where each run stands."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from wavepool.cli import options
from wavepool.cli.columns import disk_size, print_columns, say
from wavepool.cli.fix_stories import print_fixes, story_json
from wavepool.cli.output import print_result
from wavepool.cli.settings import settings_of
from wavepool.engine.history.fixes import stories
from wavepool.engine.history.runs import RunHistory, RunSummary, Standing, summaries
from wavepool.engine.recover.dead_pools import is_dead_pool
from wavepool.engine.report import stamp
from wavepool.errors import SettingError
from wavepool.listeners.wording import stamp as short_stamp
from wavepool.listeners.wording import took
from wavepool.statedir import StateDir

HEADINGS = ("run", "state", "started", "took", "tasks", "failed", "size", "driver", "what next")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="runs", short_help="List all runs, where each stands, and what to do next.")(runs)


def runs(
    state: Annotated[
        list[str] | None,
        typer.Option(help=f"Only those that are {', '.join(Standing)}; repeatable, or with commas."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The list as JSON.")] = False,
    state_dir: options.StateDirectory = None,
) -> None:
    """List all runs of the state directory, the newest last. Live ones too; nothing is changed.

    Below them, and without --state, the fixes whose runs some of them are.
    """
    settings = settings_of(state_dir=state_dir)
    wanted = _states(state or ())
    place = StateDir(settings.state_dir)
    found = [each for each in summaries(place) if not wanted or each.standing in wanted]
    found.sort(
        key=lambda each: RunHistory(place.run(each.run_id)).began_at() if each.started_at is None else each.started_at
    )
    fixes = [] if wanted else list(stories(place))
    if as_json:
        told = {"runs": [summary_json(each) for each in found], "fixes": [story_json(each) for each in fixes]}
        print_result({"state_dir": str(place.path), **told})
    elif found:
        of_fixes = {run_id: each.resume for each in fixes if each.resume for run_id in each.runs}
        rows = (_row(each, place, of_fixes.get(each.run_id)) for each in found)
        print_columns(HEADINGS, rows, right=("took", "tasks", "failed", "size"))
    else:
        sys.stderr.write(f"no runs{' of that state' if wanted else ''} in {place.path}\n")
    if fixes and not as_json:
        say()
        print_fixes(fixes)


def summary_json(summary: RunSummary) -> dict[str, Any]:
    """One run of the list, as JSON."""
    return {
        "run_id": summary.run_id,
        "state": summary.standing.value,
        "started_at": stamp(summary.started_at),
        "ended_at": stamp(summary.ended_at),
        "duration_s": None if summary.took_s is None else round(summary.took_s, 3),
        "since_start_s": summary.since_start_s,
        "tasks": {"total": summary.total, "done": summary.done, "failed": summary.failed},
        "driver": summary.driver,
        "size_bytes": summary.size_bytes,
        "paused_since": stamp(summary.paused_at),
        "resume": summary.resume,
        "problem": summary.problem,
    }


def _row(summary: RunSummary, place: StateDir, resume: str | None) -> tuple[str, ...]:
    """`resume`: the command that goes on with the fix that it is of; None for no such fix."""
    started, took_s = summary.started_at, summary.took_s
    return (
        summary.run_id,
        summary.standing.value,
        "-" if started is None else short_stamp(started),
        "-" if took_s is None else took(took_s),
        f"{summary.done}/{summary.total}" if summary.driver else "-",
        str(summary.failed) if summary.driver else "-",
        disk_size(summary.size_bytes),
        summary.driver or "-",
        resume if resume is not None and summary.resume is not None else _what_next(summary, place),
    )


def _what_next(summary: RunSummary, place: StateDir) -> str:
    if summary.standing is Standing.EMPTY and is_dead_pool(place.run(summary.run_id)):
        return f"a pool that was killed: wavepool recover --grace 0s --run-id {summary.run_id}"
    if summary.standing is Standing.LIVE:
        holder = place.run(summary.run_id).holder().split(" ")[0]
        paused = f"paused: wavepool unpause {summary.run_id}; " if summary.paused_at is not None else ""
        return f"{paused}held by process {holder}" if holder else paused.removesuffix("; ")
    if summary.standing is Standing.EMPTY:
        log = place.run(summary.run_id).detached_log
        return f"never started{f', see {log}' if log.exists() else ''}; `wavepool prune` removes it"
    return summary.resume or summary.problem or ""


def _states(texts: Iterable[str]) -> frozenset[Standing]:
    names = [name.strip() for text in texts for name in text.split(",")]
    try:
        return frozenset(Standing(name) for name in names)
    except ValueError:
        wrong = next(name for name in names if name not in list(Standing))
        raise SettingError("--state", wrong, f"one of {', '.join(Standing)}") from None
