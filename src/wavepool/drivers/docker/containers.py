"""Reading containers: one by id or name, or all in a scope."""

from __future__ import annotations

import json
from typing import Any

from wavepool.drivers.base import Scope
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.sightings import in_scope, scope_filter


async def list_containers(api: DockerApi, scope: Scope) -> list[dict[str, Any]]:
    """Summaries of all containers in `scope`, in whatever state. Raises DriverUnavailable, Refused."""
    filters = json.dumps({"label": scope_filter(scope)})
    summaries = await api.read("containers/json", {"all": "1", "filters": filters})
    return [each for each in summaries or [] if in_scope(each.get("Labels") or {}, scope)]


async def inspect(api: DockerApi, container: str) -> dict[str, Any] | None:
    """The daemon's record of a container by id or name; None where there is none. Raises DriverUnavailable, Refused."""
    try:
        found: dict[str, Any] = await api.read(f"containers/{container}/json")
    except Refused as refused:
        if refused.status == 404:
            return None
        raise
    return found
