"""Runs: ``/api/runs``."""

from __future__ import annotations

import json
from typing import Annotated

import anyio
from fastapi import Query, Response
from typing_extensions import TypedDict

from wavepool.engine.history.runs import Standing
from wavepool.errors import InputError
from wavepool.monitoring.documents.runs import RunDocument, RunLine
from wavepool.web.api.documents import Nothing, RunAnswer, run_answer
from wavepool.web.api.errors import answers
from wavepool.web.api.launch_order import CancelOrder, ResumeOrder, RetryOrder, RunOrder, as_path, directory_of
from wavepool.web.api.routes import RunId, Serving, routes
from wavepool.web.api.tasks import Limit, Offset
from wavepool.web.launching import LaunchOrder

router = routes("runs")

RunStates = Annotated[list[Standing], Query(description="Only those in this state; repeatable.", max_length=32)]

ACTED = answers(400, 404, 409, 502, 503)


class RunPage(TypedDict):
    """Some runs, those that somebody worked on last first; `more` where others follow."""

    offset: int
    more: bool
    runs: list[RunLine]


@router.get("/runs", responses=answers(503))
async def runs(
    serving: Serving,
    state: RunStates = [],  # noqa: B006 - FastAPI copies it
    offset: Offset = 0,
    limit: Limit = 100,
) -> RunPage:
    """All runs of the state directory, whoever started them."""
    found = await serving.monitor.runs(states=state, offset=offset, limit=limit + 1)
    return RunPage(offset=offset, more=len(found) > limit, runs=found[:limit])


@router.get("/runs/{run}", responses=answers(404, 409, 502, 503))
async def run(serving: Serving, run: RunId) -> RunDocument:
    """A run with its waves, and its tasks as far as they are shown; `tasks_left_out` are in `/api/runs/{run}/tasks`."""
    return await serving.monitor.run_document(run)


@router.post("/runs", status_code=201, responses=answers(400, 409, 502, 503))
async def start(serving: Serving, order: RunOrder, response: Response) -> RunAnswer:
    """Run a plan, sent or in a file, in a process of its own that goes on whatever becomes of this server.

    Answers as soon as that process holds the run; images are pulled after that. Should it die, the next
    `wavepool serve` goes on with the run, unless it had secrets, which only who asked for it has.
    """
    if (order.plan is None) == (order.plan_file is None):
        raise InputError(
            f"a run has either `plan` or `plan_file`, and was given {'neither' if order.plan is None else 'both'}",
            advice="`plan` is the plan itself, `plan_file` the path of one on this host.",
        )
    started = await serving.launches.start(
        LaunchOrder(
            words=["-" if order.plan_file is None else as_path(order.plan_file)],
            given=await anyio.to_thread.run_sync(_plan_text, order),
            options=order.options.given(),
            secrets=order.secrets,
            directory=directory_of(order.directory),
        )
    )
    response.headers["Location"] = f"/api/runs/{started['run_id']}"
    return run_answer(started["run_id"], started)


@router.post("/runs/{run}/cancel", responses=ACTED)
async def cancel(serving: Serving, run: RunId, order: CancelOrder | None = None) -> RunAnswer:
    """End a run: nothing new starts, and what runs is waited for, or with `force` stopped; with it also what a process
    that died left running. `POST /api/runs/{run}/resume` goes on with what was not reached."""
    force = order is not None and order.force
    return run_answer(run, await serving.actions.cancel(run, force=force))


@router.post("/runs/{run}/pause", responses=ACTED)
async def pause(serving: Serving, run: RunId, _: Nothing | None = None) -> RunAnswer:
    """Start nothing new until it is unpaused; what runs goes on."""
    return run_answer(run, await serving.actions.pause(run))


@router.post("/runs/{run}/unpause", responses=ACTED)
async def unpause(serving: Serving, run: RunId, _: Nothing | None = None) -> RunAnswer:
    """Start tasks again."""
    return run_answer(run, await serving.actions.unpause(run))


@router.post("/runs/{run}/retry", responses=ACTED)
async def retry(serving: Serving, run: RunId, order: RetryOrder) -> RunAnswer:
    """Try tasks again, and what was skipped because of them; of a run that is over in a process of its own."""
    if order.failed == bool(order.tasks):
        raise InputError(
            f"retry takes either `failed` or `tasks`, and was given {'both' if order.failed else 'neither'}",
            advice='{"failed": true} tries all again that did not succeed; GET /api/runs/{run}/tasks lists the tasks.',
        )
    chosen = [(await serving.monitor.task(run, key))["id"] for key in order.tasks]
    tasks = None if order.failed else chosen
    if order.secrets:
        await serving.monitor.run_document(run)  # there must be one
        return run_answer(run, await serving.launches.retry(run, tasks, order.secrets))
    answer = run_answer(run, await serving.actions.retry(run, tasks))
    if "log" in answer:
        await serving.launches.note(run)
    return answer


@router.post("/runs/{run}/resume", responses=ACTED)
async def resume(serving: Serving, run: RunId, order: ResumeOrder | None = None) -> RunAnswer:
    """Go on with a run that no process works on, in a process of its own."""
    if order is not None and order.secrets:
        await serving.monitor.run_document(run)  # there must be one
        return run_answer(run, await serving.launches.resume(run, order.secrets))
    answer = run_answer(run, await serving.actions.resume(run))
    await serving.launches.note(run)
    return answer


def _plan_text(order: RunOrder) -> bytes:
    return b"" if order.plan is None else json.dumps(order.plan).encode()
