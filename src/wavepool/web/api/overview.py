"""What all runs share: ``/api/overview`` and ``/api/host``."""

from __future__ import annotations

from typing import NotRequired, cast

from typing_extensions import TypedDict

from wavepool.monitoring.documents.overview import HostHistory, HostNow, Overview
from wavepool.web.api.errors import answers
from wavepool.web.api.routes import Serving, routes

router = routes("overview")


class HostAnswer(TypedDict):
    """This host now, and in the last minutes; neither before it was looked at for the first time."""

    host: NotRequired[HostNow]
    history: NotRequired[HostHistory]


@router.get("/overview", responses=answers())
async def overview(serving: Serving) -> Overview:
    """The key figures, the host, the newest runs, pools, workspaces and processes: what the page begins with."""
    return serving.monitor.overview.document()


@router.get("/host", responses=answers())
async def host(serving: Serving) -> HostAnswer:
    """Load, memory, disk and pressure of this host, and how they went."""
    document = serving.monitor.overview.document()
    return cast(HostAnswer, {name: document[name] for name in ("host", "history") if name in document})
