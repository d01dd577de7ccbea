"""Listing again now and then: an event that never came leaves a state behind what is, and nothing else would tell.

One call each time. It is trusted against events only where they stay behind for a moment more: they may be on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio

from wavepool.drivers.base import Phase, Scope
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import list_containers
from wavepool.drivers.docker.watching.sightings import ORDER, Sighting, container_name, sight

EVERY_S = 5.0
SETTLE_S = 0.3
"""For events that are on their way when the listing comes."""
COST = 200
"""A listing that takes long is repeated after at least so many times its own time: at most 0.5% of a core here."""
EVERY_MAX_S = 60.0

_PHASES = {
    "created": Phase.CREATED,
    "running": Phase.RUNNING,
    "paused": Phase.RUNNING,
    "restarting": Phase.RUNNING,
    "exited": Phase.EXITED,
    "removing": Phase.EXITED,
    "dead": Phase.EXITED,
}


class Reconciler:
    """Brings sightings up to what the daemon lists.

    Args:
        known: the sightings by container id; those that are behind are changed, unknown ones are added.
        changed: called with the id of each that must be told.
        every_s: between two listings.
    """

    def __init__(
        self,
        api: DockerApi,
        scope: Scope,
        known: dict[str, Sighting],
        changed: Callable[[str], None],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._api = api
        self._scope = scope
        self._known = known
        self._changed = changed
        self._every_s = every_s

    async def run(self) -> None:
        """Until cancelled. Raises DriverUnavailable, Refused: the daemon did not answer; connect again."""
        pause_s = self._every_s
        while True:
            await anyio.sleep(pause_s)
            began_s = time.process_time()
            await self._once()
            used_s = time.process_time() - began_s
            pause_s = max(self._every_s, min(COST * used_s, EVERY_MAX_S))

    async def _once(self) -> None:
        told = [each for each, sighting in self._known.items() if sighting.told is not None]
        summaries = {str(each["Id"]): each for each in await list_containers(self._api, self._scope)}
        behind = [*self._behind(summaries), *((each, Phase.GONE) for each in told if each not in summaries)]
        if not behind:
            return
        await anyio.sleep(SETTLE_S)
        for container_id, phase in behind:
            self._catch_up(container_id, phase, summaries.get(container_id))

    def _behind(self, summaries: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Phase]]:
        for container_id, summary in summaries.items():
            phase = _PHASES.get(str(summary.get("State")), Phase.CREATED)
            sighting = self._known.get(container_id)
            if sighting is not None and phase is Phase.RUNNING and sighting.waits():
                continue
            if sighting is None or ORDER[sighting.phase] < ORDER[phase]:
                yield container_id, phase

    def _catch_up(self, container_id: str, phase: Phase, summary: dict[str, Any] | None) -> None:
        sighting = self._known.get(container_id)
        if sighting is None and summary is not None:
            sighting = sight(container_id, container_name(summary), summary.get("Labels") or {})
            if sighting is not None:
                self._known[container_id] = sighting
        elif sighting is not None and ORDER[sighting.phase] >= ORDER[phase]:
            return
        if sighting is None:
            return
        if phase is Phase.GONE:
            sighting.unlisted = True
        else:
            sighting.phase, sighting.complete = phase, False
        self._changed(container_id)
