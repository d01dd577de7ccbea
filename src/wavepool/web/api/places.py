"""Where work is done, and by whom: ``/api/workspaces`` and ``/api/processes``."""

from __future__ import annotations

from typing_extensions import TypedDict

from wavepool.monitoring.documents.overview import ProcessEntry, WorkspaceEntry
from wavepool.web.api.errors import answers
from wavepool.web.api.routes import Serving, routes

router = routes("places")


class Workspaces(TypedDict):
    """All of them, by an id of theirs."""

    workspaces: dict[str, WorkspaceEntry]


class Processes(TypedDict):
    """All of them, by pid as text."""

    processes: dict[str, ProcessEntry]


@router.get("/workspaces", responses=answers())
async def workspaces(serving: Serving) -> Workspaces:
    """The directories that tasks work in, with branch and git status."""
    return Workspaces(workspaces=serving.monitor.overview.document()["workspaces"])


@router.get("/processes", responses=answers())
async def processes(serving: Serving) -> Processes:
    """Processes of agents and orchestrators on this host."""
    return Processes(processes=serving.monitor.overview.document()["processes"])
