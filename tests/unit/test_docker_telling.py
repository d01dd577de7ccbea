"""What a watch tells of one container; on an engine that knows of none any more."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import anyio
import pytest

from wavepool import labels
from wavepool.drivers.base import Phase
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.parking.claim_mark import lay_out
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.kernel_log import KernelLog
from wavepool.drivers.docker.watching.peaks import Peaks
from wavepool.drivers.docker.watching.sightings import OwnActs, sight
from wavepool.drivers.docker.watching.telling import Teller, Told

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class NoEngine:
    """It knows of no container."""

    async def read(self, path: str, params: object = None, **_: object) -> None:
        raise Refused(404, "no such container")


@pytest.mark.anyio
@pytest.mark.parametrize("unlisted", [False, True])
async def test_an_unclaimed_one_that_is_gone_is_no_loss(tmp_path: Path, unlisted: bool) -> None:
    """Also where a listing left it out before its end was told: nobody is asked then, and nothing is lost."""
    lay_out(tmp_path, "1000:1000")
    found = {labels.OWNER: "o", labels.RUN: "r", labels.WAVE: "1", labels.TASK: "t", labels.ATTEMPT: "1"}
    seen = sight("id", "name", {**found, labels.PARKED: "late", labels.SLOT: str(tmp_path)})
    assert seen is not None
    seen.told, seen.unlisted = Phase.CREATED, unlisted
    seen.apply("destroy", {}, NOW)
    known = {"id": seen}
    send, receive = anyio.create_memory_object_stream[Told](1)
    with send, receive, closing(KernelLog(tmp_path / "none")) as kernel:
        teller = Teller(cast(DockerApi, NoEngine()), OwnActs(), known, send, kernel, Peaks(root=tmp_path))
        await teller.tell(seen)
        assert receive.statistics().current_buffer_used == 0
    assert known == {}
