"""Whether a daemon is the one that was there before, also where it answers one question and not the next."""

from __future__ import annotations

from typing import Any, cast

import pytest

from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.watching.lifetime import DaemonLifetime
from wavepool.errors import DriverUnavailable

pytestmark = pytest.mark.anyio


class Answers:
    """A daemon with a default bridge, which may not say what it is."""

    def __init__(self) -> None:
        self.bridge = "first"
        self.says_info = True

    async def read(self, path: str) -> dict[str, Any]:
        if path == "networks/bridge":
            return {"Id": self.bridge, "Created": "2026-01-01T12:00:00Z"}
        if not self.says_info:
            raise DriverUnavailable("it did not answer")
        return {"LiveRestoreEnabled": False}


async def test_a_daemon_that_fell_silent_in_the_middle_is_not_taken_for_the_one_before() -> None:
    daemon = Answers()
    lifetime = DaemonLifetime(cast(DockerApi, daemon))
    assert await lifetime.unbroken()
    assert await lifetime.unbroken()
    daemon.bridge, daemon.says_info = "second", False
    with pytest.raises(DriverUnavailable):
        await lifetime.unbroken()
    daemon.says_info = True
    assert not await lifetime.unbroken(), "it was restarted, and ended what ran"
    assert await lifetime.unbroken()
