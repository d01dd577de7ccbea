"""Looking after the host: ``/api/doctor``, ``/api/recover``, ``/api/prune``; verbs whose result is the answer."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from wavepool.errors import InfrastructureError
from wavepool.monitoring.verbs import Ended
from wavepool.web.api.documents import VerbResult
from wavepool.web.api.errors import answers
from wavepool.web.api.launch_order import Text
from wavepool.web.api.routes import Services, Serving, routes
from wavepool.web.launching import options_of

router = routes("upkeep")


class RecoverOrder(BaseModel):
    """As the options of `wavepool recover`."""

    model_config = ConfigDict(extra="forbid")

    grace: Text | None = Field(default=None, description="How long a dead run is left for a resume, as 10m or 0s.")
    run_id: Text | None = None
    driver: Text | None = None
    dry_run: StrictBool = False


class PruneOrder(BaseModel):
    """As the options of `wavepool prune`."""

    model_config = ConfigDict(extra="forbid")

    older_than: Text | None = None
    keep_last: Text | None = None
    max_size: Text | None = None
    only_succeeded: StrictBool = False
    unfinished: StrictBool = False
    learned: StrictBool = False
    dry_run: StrictBool = False


@router.get("/doctor", responses=answers(404, 409, 429, 502, 503))
async def doctor(serving: Serving) -> VerbResult:
    """Check Docker and this host: `exit_code` 0 where nothing fails, `result` the findings and how to mend them."""
    return await _told(serving, ["doctor"])


@router.post("/recover", responses=answers(400, 404, 409, 429, 502, 503))
async def recover(serving: Serving, order: RecoverOrder | None = None) -> VerbResult:
    """Take away what dead orchestrators left, or with `dry_run` tell what would be; live runs are left alone."""
    return await _told(serving, ["recover", *options_of((order or RecoverOrder()).model_dump(exclude_none=True))])


@router.post("/prune", responses=answers(400, 404, 409, 429, 502, 503))
async def prune(serving: Serving, order: PruneOrder | None = None) -> VerbResult:
    """Give up old runs with their logs, or with `dry_run` tell which; live ones stay."""
    return await _told(serving, ["prune", *options_of((order or PruneOrder()).model_dump(exclude_none=True))])


async def _told(serving: Services, arguments: Sequence[str]) -> VerbResult:
    """A job, to its end; it goes on where the client does not wait, and is in the list of jobs.

    Raises:
        InputError, InfrastructureError: what the verb refused with.
        TooManyJobs: no more run at once.
    """
    job = await serving.jobs.start([*arguments, "--json"])
    await job.ended.wait()
    whole = job.stdout.whole()
    if whole is None:
        raise InfrastructureError(
            f"`wavepool {job.verb}` has ended, with exit code {job.exit_code}, and told too much for an answer",
            advice=f"GET /api/jobs/{job.id}/output has the end of it; the same on the command line tells all.",
            code="verb_failed",
        )
    ended = Ended(
        exit_code=job.exit_code or 0,
        stdout=whole,
        stderr=job.stderr.read(job.stderr.start, job.stderr.kept)[1].decode(errors="replace"),
    )
    return VerbResult(exit_code=ended.exit_code, result=ended.result())
