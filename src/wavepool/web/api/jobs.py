"""Any verb of the command line: ``/api/jobs``."""

from __future__ import annotations

from pathlib import Path as Directory
from typing import Annotated, Any, Literal, NotRequired

import anyio
from fastapi import Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from wavepool.engine.report import stamp
from wavepool.web.api.documents import Nothing
from wavepool.web.api.errors import answers
from wavepool.web.api.routes import Serving, routes
from wavepool.web.jobs import Job

router = routes("jobs")

ARGUMENTS_MAX = 1000
OUTPUT_MAX = 1 << 20
WAIT_MAX_S = 60.0
OFFSET_MAX = 1 << 53

TOTAL = "Wavepool-Total-Bytes"
OFFSET = "Wavepool-Offset"

JobId = Annotated[str, Path(max_length=64)]


class JobOrder(BaseModel):
    """A verb to run. `state_dir` of this server is what it works with unless an argument says otherwise."""

    model_config = ConfigDict(extra="forbid")

    arguments: list[str] = Field(
        min_length=1, max_length=ARGUMENTS_MAX, description="What stands behind `wavepool`, as in [`runs`, `--json`]."
    )
    stdin: str = Field(default="", description="Its standard input, as for a plan that is read from `-`.")
    environment: dict[str, str] = Field(
        default_factory=dict,
        max_length=100,
        description="Variables of its process alone: what `--secret NAME` reads. They are shown nowhere.",
    )
    directory: str | None = Field(default=None, max_length=4096, description="Where it works; else where serve does.")


class JobEntry(TypedDict):
    """One job. `state` is running, stopping, succeeded (exit code 0), failed or cancelled."""

    id: str
    verb: str
    state: str
    started_at: str
    ended_at: NotRequired[str]
    exit_code: NotRequired[int]
    stdout_bytes: int
    stderr_bytes: int


class JobList(TypedDict):
    """The newest first."""

    jobs: list[JobEntry]


@router.get("/jobs", responses=answers())
async def jobs(serving: Serving) -> JobList:
    """Jobs that run, and the newest hundred that have ended since this server began."""
    return JobList(jobs=[entry_of(job) for job in serving.jobs.all()])


@router.post("/jobs", status_code=201, responses=answers(400, 429, 503))
async def start(serving: Serving, order: JobOrder, response: Response) -> JobEntry:
    """Run any verb of `wavepool` in a process of its own, which ends with this server.

    At most 8 run at once. Not `serve` and `attach`; `run`, `resume`, `retry`, `task` and `tasks` only with `--detach`
    or `--dry-run`.
    """
    job = await serving.jobs.start(
        order.arguments,
        given=order.stdin.encode("utf-8", "surrogatepass"),
        environment=order.environment,
        directory=None if order.directory is None else Directory(order.directory),
    )
    response.headers["Location"] = f"/api/jobs/{job.id}"
    return entry_of(job)


@router.get("/jobs/{job}", responses=answers(404))
async def one(
    serving: Serving,
    job: JobId,
    wait_s: Annotated[float, Query(ge=0, le=WAIT_MAX_S, description="Wait so long for its end.")] = 0.0,
) -> JobEntry:
    """One job as it is now, or as soon as it has ended."""
    found = serving.jobs.get(job)
    with anyio.move_on_after(wait_s):
        await found.ended.wait()
    return entry_of(found)


_BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The bytes",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {
            TOTAL: {"description": "How many there are so far.", "schema": {"type": "integer"}},
            OFFSET: {"description": "Where these begin.", "schema": {"type": "integer"}},
        },
    }
}


@router.get("/jobs/{job}/output", response_class=Response, responses={**answers(404), **_BYTES})
async def output(
    serving: Serving,
    job: JobId,
    stream: Literal["stdout", "stderr"] = "stdout",
    offset: Annotated[
        int, Query(ge=-OFFSET_MAX, le=OFFSET_MAX, description="Where to begin; below zero from the end.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=OUTPUT_MAX, description="How many bytes at most.")] = 1 << 16,
) -> Response:
    """What it wrote, byte for byte; of stdout the newest 4 MiB are kept, of stderr the newest MiB.

    Where the beginning is gone, `Wavepool-Offset` is later than what was asked for.
    """
    found = serving.jobs.get(job)
    written = found.stdout if stream == "stdout" else found.stderr
    begin, data = written.read(offset, limit)
    return Response(
        data, media_type="application/octet-stream", headers={TOTAL: str(written.total), OFFSET: str(begin)}
    )


@router.post("/jobs/{job}/cancel", responses=answers(404))
async def cancel(serving: Serving, job: JobId, _: Nothing | None = None) -> JobEntry:
    """End a job as Ctrl-C does, twice if need be; after 10 s its processes are killed. One that has ended stays so."""
    found = serving.jobs.get(job)
    found.cancel()
    return entry_of(found)


def entry_of(job: Job) -> JobEntry:
    """A job as it is shown: its arguments, which may hold what is private, are not."""
    entry = JobEntry(
        id=job.id,
        verb=job.verb,
        state=job.state,
        started_at=stamp(job.started_at) or "",
        stdout_bytes=job.stdout.total,
        stderr_bytes=job.stderr.total,
    )
    if job.ended_at is not None:
        entry["ended_at"] = stamp(job.ended_at) or ""
    if job.exit_code is not None:
        entry["exit_code"] = job.exit_code
    return entry
