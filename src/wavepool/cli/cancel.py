"""`wavepool cancel RUN [TASK]...`: end a run from another terminal, as Ctrl-C would, or single tasks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.delivery import deliver, on_screen
from wavepool.cli.output import print_result, progress_line
from wavepool.cli.screen import open_screen
from wavepool.cli.settings import settings_of
from wavepool.config import Settings
from wavepool.core.facts import TaskSettled
from wavepool.engine.control import NobodyHolds, open_control
from wavepool.engine.history.runs import RunHistory, Standing, find_run
from wavepool.engine.report import RunReport
from wavepool.errors import NotNow, SettingError
from wavepool.listeners.wording import count, printable
from wavepool.statedir import RunDir, StateDir
from wavepool.wiring import GoingOn, Hooks, end_run

NAMED = 20
"""Tasks that get a line each, of those of which the same is told."""

NOT_TAKEN = 1
"""Nothing was cancelled: nobody works on the run, or it did not take the cancel in time."""


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="cancel", short_help="End a run that another process works on, or tasks of it.")(cancel)


def cancel(
    run_id: options.Run,
    tasks: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TASK]...", help="Only these, by ids or the start of one; the run goes on."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Stop what runs; also what a dead process left running.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the run, or what runs of TASK, has ended.")] = False,
    state_dir: options.StateDirectory = None,
    json_result: Annotated[bool, typer.Option("--json", help="What came of it as JSON on stdout.")] = False,
) -> None:
    """End RUN, which another process works on: nothing new starts, what runs is waited for; with --force it is stopped.

    What was not reached stays pending, and `wavepool resume` goes on with it. With TASKs only these end: what runs of
    them is stopped, the others are skipped, and so are tasks that depend on one. Exit code: 0 the run has taken it,
    1 nothing was cancelled, 2 bad input, 3 infrastructure.
    """
    settings = settings_of(state_dir=state_dir)
    files = find_run(StateDir(settings.state_dir), run_id).files
    if tasks:
        _cancel_tasks(files, tasks, force=force, wait=wait, json_result=json_result)
        return
    try:
        found = anyio.run(_cancel, files, force, wait)
    except NobodyHolds:
        found = _of_nobodys(files, settings, force=force)
    if json_result:
        print_result({"run_id": files.id, "force": force, **found})
    else:
        progress_line(_said(files.id, found, force=force))
    raise typer.Exit(0 if found["taken"] else NOT_TAKEN)


def _cancel_tasks(files: RunDir, tasks: Sequence[str], *, force: bool, wait: bool, json_result: bool) -> None:
    if force:
        raise SettingError("--force", "given", "a whole run", advice="What runs of a TASK is stopped anyway.")
    try:
        found = anyio.run(_end_tasks, files, tasks, wait)
    except (NobodyHolds, NotNow) as error:
        error.exit_code = NOT_TAKEN
        raise
    if json_result:
        print_result(found)
    else:
        for line in _said_of_tasks(found, waited=wait):
            progress_line(line)


async def _end_tasks(files: RunDir, tasks: Sequence[str], wait: bool) -> Mapping[str, Any]:
    async with open_control(files) as control:
        before = (await control.status())["facts"]
        found = await control.cancel_tasks(tasks)
        left = set(found["stopped"]) if wait else set()
        if left:
            async for _, stamped in await control.follow(before):
                if isinstance(stamped.fact, TaskSettled):
                    left.discard(stamped.fact.task_id)
                if not left:
                    break
    return {"run_id": files.id, **{name: value for name, value in found.items() if name not in ("ok", "facts")}}


async def _cancel(files: RunDir, force: bool, wait: bool) -> Mapping[str, Any]:
    async with open_control(files) as control:
        status = await control.status()
        taken = await control.cancel(force=force)
        found: dict[str, Any] = {"pid": status["pid"], "taken": taken["taken"], "ended": False, "status": None}
        if wait:
            following = await control.follow(taken["facts"])
            async for _ in following:
                pass
            found |= {"ended": True, "status": (following.result or {}).get("status")}
    return found


def _of_nobodys(files: RunDir, settings: Settings, *, force: bool) -> Mapping[str, Any]:
    standing = RunHistory(files).standing()
    if force and not standing.is_over:
        return _end(files, settings)
    return {"pid": None, "taken": False, "ended": standing is not Standing.UNFINISHED, "status": standing.value}


def _end(files: RunDir, settings: Settings) -> Mapping[str, Any]:
    """Nobody holds it: take it up in cancelling mode."""

    async def work(hooks: Hooks) -> RunReport:
        how = GoingOn(hooks=hooks, signals=True, learn=settings.learn_history)
        return await end_run(files.id, state_dir=settings.state_dir, how=how)

    with open_screen(settings, json_lines=False, verbose=False) as screen:
        report = anyio.run(on_screen, work, screen)
        deliver(report, settings, screen, None, to_stdout=False)
    return {"pid": None, "taken": True, "ended": True, "status": report.result()["status"]}


def _said_of_tasks(found: Mapping[str, Any], *, waited: bool) -> Iterator[str]:
    words = {
        "stopped": "stopped" if waited else "is being stopped",
        "skipped": "skipped",
        "dependents": "skipped, as it depends on one of them",
        "ended": "left alone: it had ended, or was cancelled before",
    }
    for name, word in words.items():
        some = found[name][:NAMED]
        for task_id in some:
            yield f"task {printable(task_id, 80)}: {word}"
        if len(found[name]) > len(some):
            yield f"… and {count(len(found[name]) - len(some), 'task')} more: {word}"
    yield f"run {found['run_id']} (process {found['pid']}) goes on with the others"


def _said(run_id: str, found: Mapping[str, Any], *, force: bool) -> str:
    if not found["taken"] and found["pid"] is not None:
        return f"run {run_id} did not take it in time; see `wavepool attach {run_id}`"
    if not found["taken"] and found["ended"]:
        return f"run {run_id} has ended already: {found['status']}"
    if not found["taken"]:
        return (
            f"no process works on run {run_id}, so nothing was cancelled: `wavepool cancel {run_id} --force` stops "
            f"what a dead one left running, `wavepool resume {run_id}` goes on with it"
        )
    if found["ended"]:
        return f"run {run_id} has ended: {found['status']}"
    what = "what runs is being stopped" if force else "nothing new starts, what runs is waited for"
    return f"run {run_id} (process {found['pid']}): {what}"
