"""`wavepool retry` on a run that another process works on: that one tries the tasks again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from wavepool.cli.output import print_result, progress_line
from wavepool.engine.control import NobodyHolds, open_control, until_free
from wavepool.errors import RunOver
from wavepool.listeners.wording import count
from wavepool.statedir import RunDir


def retried_live(files: RunDir, tasks: Sequence[str], *, json_result: bool) -> bool:
    """Have the process that works on the run try `tasks` again (none: all that failed); told on stderr, or as JSON.

    False where none does, or where the run ended just now and is free.

    Raises:
        InputError: one of them cannot be tried again.
        NotNow: nothing has failed, or the run is ending.
        InfrastructureError: it does not answer, or is of a release that cannot.
    """
    try:
        found = anyio.run(_ask, files, tasks)
    except (NobodyHolds, RunOver):
        anyio.run(until_free, files)
        return False
    if json_result:
        told = {name: value for name, value in found.items() if name not in ("ok", "facts")}
        print_result({"run_id": files.id, **told})
    else:
        progress_line(_said(files.id, found))
    return True


async def _ask(files: RunDir, tasks: Sequence[str]) -> Mapping[str, Any]:
    async with open_control(files) as control:
        return await control.retry(tasks)


def _said(run_id: str, found: Mapping[str, Any]) -> str:
    waiting = f", and {count(len(found['waiting']), 'task')} that had been skipped" if found["waiting"] else ""
    when = f" as soon as `wavepool unpause {run_id}` lets starts go on" if found["paused"] else ""
    again = f"{count(len(found['tasks']), 'task')} will be tried again{waiting}{when}"
    return f"run {run_id} (process {found['pid']}): {again}; `wavepool attach {run_id}` shows it"
