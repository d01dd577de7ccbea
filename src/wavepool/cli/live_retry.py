"""`wavepool retry` on a run that another process works on: that one tries the tasks again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import anyio

from wavepool.cli.output import print_result, progress_line
from wavepool.engine.control import Control, NobodyHolds, open_control, until_free
from wavepool.errors import InputError, RunOver
from wavepool.listeners.wording import count, printable
from wavepool.statedir import RunDir

NAMED = 20
"""Tasks that get a line each with --verbose."""

_INSTEAD = {
    "--secret": "It has the secrets that it was given; for others let it end, and then retry: `wavepool cancel {run}`.",
    "--output": "`wavepool attach {run} --output FILE` waits for its end, and writes the result.",
    "--cache": "Its own --cache is what counts; its results and logs are in `wavepool show {run}` in any case.",
    "--poll-interval": "`wavepool attach {run} --poll-interval SECONDS` shows how far it is.",
    "--dashboard": "`wavepool serve` has a page that shows it.",
}
"""What cannot hold where another process does the work -> what to do for it."""


def retried_live(
    files: RunDir, tasks: Sequence[str], *, given: Sequence[str], json_result: bool, detach: bool, verbose: bool
) -> bool:
    """Have the process that works on the run try `tasks` again (none: all that failed); told on stderr, or as JSON.

    False where none does, or where the run ended just now and is free.

    Args:
        given: the options that were typed, as `--secret`, of those that only who works on a run can heed.
        json_result: the answer as JSON on stdout; so has `detach`, which is heeded by that: the run is detached from
            this command as it is.

    Raises:
        InputError: one of them cannot be tried again, or an option cannot hold.
        NotNow: nothing has failed, or the run is ending.
        InfrastructureError: it does not answer, or is of a release that cannot.
    """
    try:
        found = anyio.run(_ask, files, tasks, given)
    except (NobodyHolds, RunOver):
        anyio.run(until_free, files)
        return False
    if json_result or detach:
        told = {name: value for name, value in found.items() if name not in ("ok", "facts")}
        print_result({"run_id": files.id, **told})
    else:
        progress_line(_said(files.id, found))
    for line in _each(found) if verbose else ():
        progress_line(line)
    return True


async def _ask(files: RunDir, tasks: Sequence[str], given: Sequence[str]) -> Mapping[str, Any]:
    async with open_control(files) as control:
        if given:
            await _check(control, given)
        return await control.retry(tasks)


async def _check(control: Control, given: Sequence[str]) -> None:
    """Raises InputError. One that is over lets us go on with it, and then every option holds."""
    status = await control.status()
    if status["outcome"] is None:
        raise InputError(
            f"{' and '.join(given)} cannot hold: process {status['pid']} works on run {control.run_id}, and tries the "
            "tasks again with what it has",
            advice="\n".join(_INSTEAD[option].format(run=control.run_id) for option in given),
        )


def _each(found: Mapping[str, Any]) -> Iterator[str]:
    for name, what in (("tasks", "will be tried again"), ("waiting", "had been skipped, and waits again")):
        for task_id in found[name][:NAMED]:
            yield f"task {printable(task_id, 80)}: {what}"
        if len(found[name]) > NAMED:
            yield f"… and {count(len(found[name]) - NAMED, 'task')} more: {what}"


def _said(run_id: str, found: Mapping[str, Any]) -> str:
    waiting = f", and {count(len(found['waiting']), 'task')} that had been skipped" if found["waiting"] else ""
    when = f" as soon as `wavepool unpause {run_id}` lets starts go on" if found["paused"] else ""
    again = f"{count(len(found['tasks']), 'task')} will be tried again{waiting}{when}"
    return f"run {run_id} (process {found['pid']}): {again}; `wavepool attach {run_id}` shows it"
