"""Puts the interface into the application, and what it works with into its loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from wavepool.monitoring.actions import Actions
from wavepool.monitoring.documents.forms import Forms
from wavepool.monitoring.monitor import Monitor
from wavepool.statedir import StateDir
from wavepool.web import metrics
from wavepool.web.api import agents, forms, jobs, overview, places, pools, reports, runs, tasks, upkeep
from wavepool.web.api.errors import tell_errors
from wavepool.web.api.routes import PREFIX, Services
from wavepool.web.jobs import open_jobs
from wavepool.web.launching import Launches

ROUTERS = (overview, runs, agents, tasks, reports, pools, places, jobs, upkeep, forms)
"""One module for each resource, in the order of the description."""

_ABOUT = """All that `wavepool` can do, for programs. The token goes into `Authorization: Bearer`; what changes
something is sent as application/json. Whatever cannot be done is answered by
`{"error": {"code", "message", "advice"}}`."""


def install(app: FastAPI, services: Services) -> None:
    """Add every operation, the metrics, the description of them all, and the shape of errors."""
    app.state.services = services
    app.title, app.version, app.description = "Wavepool", version("wavepool"), _ABOUT
    tell_errors(app)
    for module in ROUTERS:
        app.include_router(module.router)
    app.include_router(metrics.router)
    app.add_api_route(f"{PREFIX}/openapi.json", _describing(app), methods=["GET"], include_in_schema=False)


@asynccontextmanager
async def open_services(
    state_dir: StateDir,
    monitor: Monitor,
    actions: Actions,
    *,
    forms: Callable[[], Forms],
    resumes: bool = True,
    notice: Callable[[str], None] = lambda line: None,
) -> AsyncIterator[Services]:
    """What the operations work with, inside the block. At its end the jobs are ended.

    Args:
        state_dir: whose runs these are.
        monitor: of that directory, open for longer.
        actions: on its runs and pools.
        forms: what verbs can be told; blocks.
        resumes: go on with the runs that an earlier server started and that died.
        notice: told a sentence of each of those.
    """
    launches = Launches(state_dir)
    async with open_jobs(state_dir.path) as opened, anyio.create_task_group() as group:
        if resumes:
            await group.start(launches.resume_dead, notice)
        yield Services(
            state_dir=state_dir,
            monitor=monitor,
            actions=actions,
            launches=launches,
            jobs=opened,
            forms=forms,
        )
        group.cancel_scope.cancel()


def _describing(app: FastAPI) -> Callable[[], Any]:
    async def openapi() -> JSONResponse:
        described = app.openapi()
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
        return JSONResponse(described)

    return openapi
