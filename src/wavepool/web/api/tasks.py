"""The tasks of a run: ``/api/runs/{run}/tasks``. In addresses they go by their key."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import Path, Query
from typing_extensions import TypedDict

from wavepool.monitoring.documents.runs import TaskEntry
from wavepool.web.api.documents import CancelledTasks, Nothing, RunAnswer, cancelled_tasks, run_answer
from wavepool.web.api.errors import answers
from wavepool.web.api.routes import RunId, Serving, routes

router = routes("tasks")

PAGE_MAX = 1000
OFFSET_MAX = 1 << 53
"""Whole numbers that every reader of JSON takes as they are."""

Key = Annotated[str, Path(description="The task's `key`.", max_length=256)]
Offset = Annotated[int, Query(ge=0, le=OFFSET_MAX, description="How many to pass over.")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many at most.")]


class TaskState(StrEnum):
    """Where a task stands: on its way, or the verdict of its last attempt."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"
    RETRYING = "retrying"
    SKIPPED = "skipped"
    SUCCESS = "success"
    FAILED = "failed"
    TIMEOUT = "timeout"
    OOM = "oom"
    WATCHDOG = "watchdog"
    CANCELLED = "cancelled"
    LOST = "lost"
    START_ERROR = "start_error"
    RATE_LIMITED = "rate_limited"


TaskStates = Annotated[list[TaskState], Query(description="Only those in this state; repeatable.", max_length=32)]


class TaskPage(TypedDict):
    """Some tasks, in the plan's order, of `total` that fit."""

    total: int
    offset: int
    tasks: list[TaskEntry]


@router.get("/runs/{run}/tasks", responses=answers(404, 409, 502, 503))
async def tasks(
    serving: Serving,
    run: RunId,
    state: TaskStates = [],  # noqa: B006 - FastAPI copies it
    wave: Annotated[int | None, Query(ge=0, le=OFFSET_MAX, description="Only those of this wave.")] = None,
    cause: Annotated[str, Query(description="Only those of this group of failures.", max_length=64)] = "",
    q: Annotated[str, Query(description="Only those with this in id, key, agent or image.", max_length=256)] = "",
    offset: Offset = 0,
    limit: Limit = 100,
) -> TaskPage:
    """Some of the tasks of a run, however many it has."""
    total, found = await serving.monitor.tasks(
        run, states=state, wave=wave, cause=cause, text=q, offset=offset, limit=limit
    )
    return TaskPage(total=total, offset=offset, tasks=found)


@router.get("/runs/{run}/tasks/{key}", responses=answers(404, 409, 502, 503))
async def task(serving: Serving, run: RunId, key: Key) -> TaskEntry:
    """One task with all its attempts, and the history of what it used."""
    return await serving.monitor.task(run, key)


@router.post("/runs/{run}/tasks/{key}/cancel", responses=answers(400, 404, 409, 502, 503))
async def cancel(serving: Serving, run: RunId, key: Key, _: Nothing | None = None) -> CancelledTasks:
    """Stop this task where it runs, or skip it where it waits; the run goes on without it."""
    found = await serving.monitor.task(run, key)
    return cancelled_tasks(run, await serving.actions.cancel_tasks(run, [found["id"]]))


@router.post("/runs/{run}/tasks/{key}/retry", responses=answers(400, 404, 409, 502, 503))
async def retry(serving: Serving, run: RunId, key: Key, _: Nothing | None = None) -> RunAnswer:
    """Try this task again, and what was skipped because of it; in a live run beside what goes on."""
    found = await serving.monitor.task(run, key)
    return run_answer(run, await serving.actions.retry(run, [found["id"]]))
