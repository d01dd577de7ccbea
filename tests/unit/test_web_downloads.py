"""Downloads of output: who has gone is given nothing more, and what fails half way is told by its own error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from fastapi import FastAPI

from wavepool.drivers.base import LogChunk
from wavepool.errors import InfrastructureError
from wavepool.monitoring.logs.hub import Whole
from wavepool.statedir import StateDir
from wavepool.web.logs import router
from wavepool.web.ranges import PIECE_BYTES, FileDownload, LiveDownload

pytestmark = pytest.mark.anyio

SCOPE = {"type": "http", "method": "GET", "headers": []}


async def gone() -> Any:
    return {"type": "http.disconnect"}


async def there() -> Any:
    await anyio.sleep_forever()


class Sent(list[int]):
    """Sizes of what was sent."""

    async def __call__(self, message: Any) -> None:
        await anyio.lowlevel.checkpoint()
        self.append(len(message.get("body", b"")))


def download(path: Path) -> FileDownload:
    return FileDownload(path, "x.log", threads=anyio.CapacityLimiter(1))


async def test_of_a_file_nothing_more_is_read_for_who_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(50 * PIECE_BYTES)
    sent = Sent()
    await download(path)(SCOPE, gone, sent)
    assert len(sent) < 5
    sent.clear()
    await download(path)(SCOPE, there, sent)
    assert sum(sent) == 50 * PIECE_BYTES


async def test_of_what_runs_nothing_more_is_read_for_who_has_gone() -> None:
    given = 0

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncIterator[LogChunk]]:
        async def chunks() -> AsyncIterator[LogChunk]:
            nonlocal given
            while given < 1000:
                given += 1
                yield LogChunk(stream="stdout", data=b"x")

        yield chunks()

    await LiveDownload(opened, "x.log")(SCOPE, gone, Sent())
    assert given < 5


async def test_a_file_that_becomes_shorter_meanwhile_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * (2 * PIECE_BYTES))

    async def send(message: Any) -> None:
        path.write_bytes(b"")

    with pytest.raises(InfrastructureError, match="shorter"):
        await download(path)(SCOPE, there, send)


class Archived:
    """Logs of which one was too long for its driver."""

    def __init__(self, whole: Whole) -> None:
        self._whole = whole

    async def whole(self, run_id: str, key: str, number: int | None) -> Whole:
        return self._whole


@pytest.mark.parametrize(
    ("problem", "told"), [("", None), ("only 32MB\r\nX-Bad: 1 … are kept", b"only 32MB X-Bad: 1 ? are kept")]
)
async def test_what_is_missing_of_a_file_is_told_in_one_line(tmp_path: Path, problem: str, told: bytes | None) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"the end")
    state_dir = StateDir(tmp_path / "state")
    state_dir.run("r").create()
    app = FastAPI()
    app.state.services = SimpleNamespace(state_dir=state_dir)
    app.include_router(router(Archived(Whole(path, 1, "x.log", problem))))  # type: ignore[arg-type]  # all it asks for
    scope = {**SCOPE, "path": "/api/runs/r/tasks/k/log/download", "query_string": b"", "root_path": ""}
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope, there, send)
    assert dict(messages[0]["headers"]).get(b"wavepool-problem") == told
    assert b"".join(each.get("body", b"") for each in messages) == b"the end"
