"""Whether a daemon is the one that was there before a gap, so that what ended in it ended by itself.

A daemon ends its containers as it stops, or as it starts after a crash, unless it keeps them (live-restore); a task may
answer that with any exit code, 0 too. No call tells when a daemon was started, but its default bridge does: it is made
anew at each start, and left alone only where running containers were kept (API 1.41, killed and stopped alike).
"""

from __future__ import annotations

import json
from datetime import datetime

import anyio

from wavepool.drivers.docker.api import READ_DEADLINE_S, DockerApi
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.verdict import parse_time

EVENTS_KEPT = 256
"""By a daemon, in memory: the newest ones (API 1.41)."""


async def was_restarted_since(api: DockerApi, container_id: str) -> bool:
    """True where a daemon has certainly been started since it made a container: it does not remember that it did.

    Raises:
        DriverUnavailable: it cannot be reached.
    """
    known = await remembered_creations(api)
    return known is not None and container_id not in known


async def may_have_kept_unseen(api: DockerApi, container_id: str) -> bool:
    """True where a daemon keeps containers while it is away, and may have been away since it made this one.

    Raises:
        DriverUnavailable, Refused: the daemon did not answer.
    """
    if not (await api.read("info")).get("LiveRestoreEnabled"):
        return False
    known = await remembered_creations(api)
    return known is None or container_id not in known


async def remembered_creations(api: DockerApi) -> frozenset[str] | None:
    """Ids of the containers that a daemon remembers to have made since it was started; None where it may forget some.

    Raises:
        DriverUnavailable: it cannot be reached.
    """
    raw: bytes | None = None
    try:
        now = parse_time(
            (await api.read("info")).get("SystemTime")
        )  # its clock: ours may be off, and it waits for `until`
        if now is None:
            return None
        params = {"since": "0", "until": f"{now.timestamp():.6f}"}
        with anyio.move_on_after(READ_DEADLINE_S):
            async with api.stream("GET", "events", params) as stream:
                raw = b"".join([piece async for piece in stream])
    except Refused:
        return None
    if raw is None:
        return None
    events = [json.loads(line) for line in raw.splitlines() if line.strip()]
    if len(events) >= EVENTS_KEPT // 2:
        return None  # it may have forgotten
    return frozenset(str(each["Actor"]["ID"]) for each in events if each.get("Action") == "create")


class DaemonLifetime:
    """Remembers one daemon from look to look.

    Attributes:
        began: when it was last started and ended what it found, or kept nothing; None where that cannot be known.
    """

    def __init__(self, api: DockerApi) -> None:
        self.began: datetime | None = None
        self._api = api
        self._bridge: str | None = None

    async def unbroken(self) -> bool:
        """True where nothing that ended since the last look was ended by the daemon.

        So at the first look, which has none before it: of what ended earlier `looking_back` tells.

        Raises:
            DriverUnavailable: it cannot be reached.
        """
        first, before = self._bridge is None, self._bridge
        bridge, made = await self._look()
        if bridge and bridge == before:
            return True
        unbroken = first or await self._keeps_containers()
        self._bridge, self.began = bridge, made
        return unbroken

    async def _look(self) -> tuple[str, datetime | None]:
        """(id of the default bridge, when it was made); an empty id where there is none, which proves nothing."""
        try:
            bridge = await self._api.read("networks/bridge")
        except Refused:
            return "", None
        return str(bridge.get("Id", "")), parse_time(bridge.get("Created"))

    async def _keeps_containers(self) -> bool:
        try:
            return bool((await self._api.read("info")).get("LiveRestoreEnabled"))
        except Refused:
            return False
