"""`wavepool prune`: give up old runs, by age, size and count, with their logs and their kept images."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.columns import disk_size, print_columns, say
from wavepool.cli.dead_fixes import clear_dead_fixes, forget_fixes
from wavepool.cli.output import print_result, progress_line
from wavepool.cli.settings import settings_of
from wavepool.cli.steps import peek_owner
from wavepool.drivers.keeping import Kept
from wavepool.engine.history.prune import KEEP_LAST, OLDER_THAN_S, Decided, Pruned, Pruner, Retention
from wavepool.errors import InputError, SettingError
from wavepool.learning.store import Store
from wavepool.listeners.wording import count
from wavepool.statedir import StateDir
from wavepool.units import parse_duration, parse_size
from wavepool.wiring import driver_named

HEADINGS = ("run", "state", "size", "fate", "why")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="prune", short_help="Give up old runs, with their logs and kept images.")(prune)


def prune(
    older_than: Annotated[str | None, typer.Option(help="Runs that ended longer ago, as 30d or 12h.")] = None,
    keep_last: Annotated[int | None, typer.Option(min=0, help="Keep the newest runs, so many, in any case.")] = None,
    max_size: Annotated[str | None, typer.Option(help="Then the oldest, until all fit into this, as 5g.")] = None,
    only_succeeded: Annotated[
        bool, typer.Option("--only-succeeded/--failed-too", help="Keep failed runs, or (the default) do not.")
    ] = False,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Also those that could be resumed, or that cannot be read.")
    ] = False,
    learned: Annotated[
        bool, typer.Option("--learned", help="Forget what runs have taught; without a bound, only that.")
    ] = False,
    dry_run: options.DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was done and why, as JSON.")] = False,
    state_dir: options.StateDirectory = None,
) -> None:
    """Remove old runs: those older than --older-than, then the oldest above --max-size; with neither of them, all.

    --keep-last spares the newest. With none of the three: --older-than 30d --keep-last 20. Live runs are never
    removed, unfinished ones only with --unfinished. What is known of a fix goes with the last of its runs. Exit code:
    0 done, 1 something resisted (the next prune retries).
    """
    settings = settings_of(state_dir=state_dir)
    retention = parse_retention(
        older_than=older_than,
        keep_last=keep_last,
        max_size=max_size,
        only_succeeded=only_succeeded,
        unfinished=unfinished,
    )
    place = StateDir(settings.state_dir)
    if learned:
        _forget(Store(place.path), dry_run=dry_run)
        if older_than is None and keep_last is None and max_size is None:
            if as_json:
                print_result(result_json([], [], None if dry_run else Pruned()))
            return
    pruner = Pruner(place, peek_owner(place), open_driver=lambda name: driver_named(name, place), notice=progress_line)
    decided, stray, done = anyio.run(_prune, pruner, retention, dry_run)
    if as_json:
        print_result(result_json(decided, stray, done))
    elif done is None:
        _print_plan(decided, stray)
    else:
        say(summary_line(decided, done))
    problems = list(filter(None, [pruner.unknown])) if done is None else done.problems
    fixes = clear_dead_fixes(place, dry_run=dry_run)
    forgotten = forget_fixes(place, unfinished=unfinished, dry_run=dry_run)
    for line in (*problems, *map(str, fixes), *forgotten):
        progress_line(line)
    resisted = any(each.resisted for each in fixes)
    raise typer.Exit(1 if (done is not None and done.problems) or resisted else 0)


def _forget(store: Store, *, dry_run: bool) -> None:
    size_bytes = store.size_bytes() if dry_run else store.drop()
    if not size_bytes:
        progress_line("nothing has been learned: there is nothing to forget")
    else:
        would = "would be forgotten" if dry_run else "is forgotten"
        progress_line(f"what runs have taught {would}: {store.path}, {disk_size(size_bytes)}")


def parse_retention(
    *, older_than: str | None, keep_last: int | None, max_size: str | None, only_succeeded: bool, unfinished: bool
) -> Retention:
    """What was asked for, or the defaults where no bound was.

    Raises:
        SettingError: a bound cannot be read.
    """
    if older_than is None and keep_last is None and max_size is None:
        return Retention(
            older_than_s=OLDER_THAN_S, keep_last=KEEP_LAST, only_succeeded=only_succeeded, unfinished=unfinished
        )
    try:
        older_than_s = None if older_than is None else parse_duration(older_than)
    except InputError:
        raise SettingError("--older-than", older_than, "a duration above zero such as 30d or 12h") from None
    try:
        max_size_bytes = None if max_size is None else parse_size(max_size)
    except InputError:
        raise SettingError("--max-size", max_size, "a size such as 5g") from None
    return Retention(
        older_than_s=older_than_s,
        max_size_bytes=max_size_bytes,
        keep_last=keep_last or 0,
        only_succeeded=only_succeeded,
        unfinished=unfinished,
    )


async def _prune(
    pruner: Pruner, retention: Retention, dry_run: bool
) -> tuple[Sequence[Decided], Sequence[Kept], Pruned | None]:
    decided, stray = await pruner.survey(retention, datetime.now(UTC))
    return decided, stray, None if dry_run else await pruner.prune(decided, stray)


def result_json(decided: Sequence[Decided], stray: Sequence[Kept], done: Pruned | None) -> dict[str, Any]:
    """What was (or, with `done` None, would be) done, run by run."""
    gone = [each.summary.run_id for each in decided if each.goes] if done is None else done.removed
    would_free = sum(each.size_bytes for each in decided if each.goes) + sum(image.size_bytes for image in stray)
    return {
        "dry_run": done is None,
        "runs": [
            {
                "run_id": each.summary.run_id,
                "state": each.summary.standing.value,
                "removed": each.summary.run_id in gone,
                "why": each.why,
                "size_bytes": each.size_bytes,
            }
            for each in decided
        ],
        "images": [image.reference for image in stray] if done is None else done.images,
        "freed_bytes": would_free if done is None else done.freed_bytes,
        "problems": [] if done is None else done.problems,
    }


def summary_line(decided: Sequence[Decided], done: Pruned) -> str:
    """What was removed, in one line: runs, the images that were kept of them or of earlier ones, and their room."""
    images = f" and {count(len(done.images), 'kept image')}" if done.images else ""
    return f"removed {len(done.removed)} of {count(len(decided), 'run')}{images}, freed {disk_size(done.freed_bytes)}"


def _print_plan(decided: Sequence[Decided], stray: Sequence[Kept]) -> None:
    rows = [
        (
            each.summary.run_id,
            each.summary.standing.value,
            disk_size(each.size_bytes),
            "goes" if each.goes else "stays",
            each.why,
        )
        for each in decided
    ]
    print_columns(HEADINGS, rows, right=("size",))
    for image in stray:
        say(f"image {image.reference} goes: its run {image.run_id} is gone")
    going = [each for each in decided if each.goes]
    images = [*stray, *(image for each in going for image in each.images)]
    size_bytes = sum(each.size_bytes for each in going) + sum(image.size_bytes for image in stray)
    with_images = f" with {count(len(images), 'kept image')}" if images else ""
    say(f"{len(going)} of {count(len(decided), 'run')}{with_images} would go, {disk_size(size_bytes)}")
