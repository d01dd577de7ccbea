"""How every operation of the interface begins: what it works with, and the bound of what it is sent."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.routing import APIRoute

from wavepool.engine.history.runs import UnknownRun, find_run
from wavepool.errors import SettingError
from wavepool.inputs import parse_run_id
from wavepool.monitoring.actions import Actions
from wavepool.monitoring.documents.forms import Forms
from wavepool.monitoring.monitor import Monitor
from wavepool.statedir import StateDir
from wavepool.web.api.errors import refused
from wavepool.web.jobs import Jobs
from wavepool.web.launching import Launches

PREFIX = "/api"

BODY_BYTES = 16 << 20
"""Of what is sent, at most: a plan of some 50,000 batches."""

REPORTS_MAX = 2
"""Reports that are made at once; each is a process. Further ones wait for their turn."""

POOL_TASKS_MAX = 64
"""Tasks of pools that may be waited for at once; further ones wait for their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the operations work with; all of it in one event loop.

    Attributes:
        state_dir: whose runs these are.
        monitor: what is shown.
        actions: what is done to runs and pools.
        launches: runs that are started.
        jobs: any other verb.
        forms: what verbs can be told; blocks.
        reports: bounds those that are made at once.
        pool_tasks: bounds those that wait for a task in a pool.
    """

    state_dir: StateDir
    monitor: Monitor
    actions: Actions
    launches: Launches
    jobs: Jobs
    forms: Callable[[], Forms]
    reports: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(REPORTS_MAX))
    pool_tasks: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(POOL_TASKS_MAX))


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Serving = Annotated[Services, Depends(_services)]


async def _run_id(
    serving: Serving,
    run: Annotated[
        str,
        Path(description="A run's id; or the start of one, where it fits no other; or `latest`, which began last."),
    ],
) -> str:
    """The whole id of the run that is meant in an address.

    Raises:
        UnknownRun: there is none, or no run can have it. AmbiguousRun: there are several.
    """
    try:
        text = parse_run_id(run)
    except SettingError:
        raise UnknownRun("there is no run of that id", advice="GET /api/runs lists all.") from None
    return (await anyio.to_thread.run_sync(find_run, serving.state_dir, text)).id


RunId = Annotated[str, Depends(_run_id)]


class _BoundedRoute(APIRoute):
    """Looks at the head of what is sent before any of its body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's, behind that look."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return _refusal_of(request) or await handle(request)

        return bounded


def _refusal_of(request: Request) -> Response | None:
    if request.method in ("GET", "HEAD"):
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return refused(415, "what is sent must be JSON", "Send `Content-Type: application/json`, and {} for nothing.")
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal():
        return refused(411, "the length of what is sent must be told first", "Send `Content-Length`.")
    if int(length) > BODY_BYTES:
        return refused(
            413, f"at most {BODY_BYTES} bytes are taken", "`wavepool run` on the command line takes a plan of any size."
        )
    return None


def routes(tag: str) -> APIRouter:
    """A router for one kind of resource."""
    return APIRouter(prefix=PREFIX, tags=[tag], route_class=_BoundedRoute)
