"""What a watch tells of one container; on an engine that knows of none any more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from wavepool import labels
from wavepool.drivers.base import Observation, Phase
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.parking.claim_mark import lay_out
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.kernel_log import KernelLog
from wavepool.drivers.docker.watching.peaks import Peaks
from wavepool.drivers.docker.watching.sightings import OwnActs, sight
from wavepool.drivers.docker.watching.telling import Teller, Told
from wavepool.model import VerdictKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class NoEngine:
    """It knows of no container."""

    async def read(self, path: str, params: object = None, **_: object) -> None:
        raise Refused(404, "no such container")


LABELS = {labels.OWNER: "o", labels.RUN: "r", labels.WAVE: "1", labels.TASK: "t", labels.ATTEMPT: "1"}


class Restarted:
    """One container that ended with an exit code of the engine's own, as Docker 28.5 answers after its restart."""

    def __init__(self, *, keeps: bool, remembers: bool) -> None:
        self._info = {"LiveRestoreEnabled": keeps, "SystemTime": "2026-11-27T18:38:58.1Z"}
        self._events = [{"Action": "create", "Actor": {"ID": "id" if remembers else "another"}}]

    async def read(self, path: str, params: object = None, **_: object) -> dict[str, Any]:
        if path == "info":
            return self._info
        times = {"StartedAt": "2026-11-27T18:38:47.257619077Z", "FinishedAt": "2026-11-27T18:38:56.579644461Z"}
        return {"State": {"Status": "exited", "Running": False, "OOMKilled": False, "ExitCode": 255, **times}}

    @asynccontextmanager
    async def stream(self, *_: object) -> AsyncIterator[AsyncIterator[bytes]]:
        async def pieces() -> AsyncIterator[bytes]:
            for each in self._events:
                yield json.dumps(each).encode() + b"\n"

        yield pieces()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("keeps", "remembers", "died", "kind"),
    [
        (True, False, False, VerdictKind.LOST),
        (True, True, False, VerdictKind.FAILED),
        (False, False, False, VerdictKind.FAILED),
        (True, False, True, VerdictKind.FAILED),
    ],
    ids=["it was away", "it was there all along", "it keeps none", "its end was seen"],
)
async def test_255_is_an_exit_code_only_of_an_engine_that_was_there(
    tmp_path: Path, keeps: bool, remembers: bool, died: bool, kind: VerdictKind
) -> None:
    seen = sight("id", "name", LABELS)
    assert seen is not None
    if died:
        seen.apply("die", {"exitCode": "255"}, NOW)
    api = cast(DockerApi, Restarted(keeps=keeps, remembers=remembers))
    send, receive = anyio.create_memory_object_stream[Told](1)
    with send, receive, closing(KernelLog(tmp_path / "none")) as kernel:
        await Teller(api, OwnActs(), {"id": seen}, send, kernel, Peaks(root=tmp_path)).tell_inspected(seen)
        told = receive.receive_nowait()
    assert isinstance(told, Observation)
    assert told.ending is not None
    assert told.ending.kind is kind
    assert told.ending.evidence.exit_code == 255


@pytest.mark.anyio
@pytest.mark.parametrize("unlisted", [False, True])
async def test_an_unclaimed_one_that_is_gone_is_no_loss(tmp_path: Path, unlisted: bool) -> None:
    """Also where a listing left it out before its end was told: nobody is asked then, and nothing is lost."""
    lay_out(tmp_path, "1000:1000")
    seen = sight("id", "name", {**LABELS, labels.PARKED: "late", labels.SLOT: str(tmp_path)})
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
