"""The output of an attempt that a server's pool runs for us, as it is kept and read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wavepool.drivers.base import AttemptSpec, LogChunk
from wavepool.engine.control.pools.attempts import PooledAttempt
from wavepool.model import AttemptId, Ending, Evidence, Handle, Limits, VerdictKind

pytestmark = pytest.mark.anyio

PIECES = 2000


class Counted(deque[LogChunk]):
    """Counts what is looked at."""

    looked_at = 0

    def __iter__(self) -> Iterator[LogChunk]:
        return self._counting(super().__iter__())

    def __reversed__(self) -> Iterator[LogChunk]:
        return self._counting(super().__reversed__())

    def _counting(self, chunks: Iterator[LogChunk]) -> Iterator[LogChunk]:
        for chunk in chunks:
            self.looked_at += 1
            yield chunk


def attempt(tmp_path: Path, log_limit_bytes: int) -> PooledAttempt:
    who = AttemptId("t", 1)
    spec = AttemptSpec(
        attempt=who,
        owner="o",
        run_id="r",
        wave=1,
        name="n",
        image="i",
        command=None,
        env={},
        prompt="",
        limits=Limits(memory_bytes=1 << 26),
        workspace=tmp_path,
        slot=tmp_path,
        log_limit_bytes=log_limit_bytes,
        labels={},
        spec_hash="h",
    )
    return PooledAttempt(handle=Handle(driver="pool:t", id="n", name="n", attempt=who), spec=spec)


async def test_following_it_looks_at_each_piece_once(tmp_path: Path) -> None:
    pooled = attempt(tmp_path, 1 << 20)
    chunks = pooled._chunks = Counted()
    reader = pooled.output(follow=True)
    for number in range(PIECES):
        await pooled.hear("stdout", b"%d\n" % number)
        assert (await anext(reader)).data == b"%d\n" % number
    assert chunks.looked_at <= 2 * PIECES


async def test_a_reader_that_comes_late_is_told_what_it_missed(tmp_path: Path) -> None:
    pooled = attempt(tmp_path, 4)
    for data in (b"one", b"two", b"six"):
        await pooled.hear("stdout", data)
    pooled.end(Ending(kind=VerdictKind.SUCCESS, evidence=Evidence(), finished_at=datetime.now(UTC)))
    read = [chunk async for chunk in pooled.output(follow=True)]
    assert [(chunk.gap, chunk.data) for chunk in read] == [(True, b""), (False, b"six")]
