"""Whether a daemon is the one that was there before a gap, so that what ended in it ended by itself.

A daemon ends its containers as it stops, or as it starts after a crash, unless it keeps them (live-restore); a task may
answer that with any exit code, 0 too. No call tells when a daemon was started, but its default bridge does: it is made
anew at each start, and left alone only where running containers were kept (API 1.41, killed and stopped alike).
"""

from __future__ import annotations

from datetime import datetime

from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.verdict import parse_time


class DaemonLifetime:
    """Remembers one daemon from look to look.

    Attributes:
        began: when it was started, as far as its containers can tell: None where it keeps them, or cannot be known.
    """

    def __init__(self, api: DockerApi) -> None:
        self.began: datetime | None = None
        self._api = api
        self._bridge: str | None = None

    async def unbroken(self) -> bool:
        """True where nothing that ended since the last look was ended by the daemon; so at the first look.

        Raises:
            DriverUnavailable: it cannot be reached.
        """
        first, before = self._bridge is None, self._bridge
        self._bridge, made = await self._look()
        if self._bridge and self._bridge == before:
            return True
        keeps = await self._keeps_containers()
        self.began = None if keeps else made
        return first or keeps

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
