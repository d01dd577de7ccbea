"""Output is kept up to a limit, on the way and on the disk; what was cut is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wavepool.config import load_settings
from wavepool.drivers.base import LogChunk
from wavepool.drivers.docker.starting.spec import log_config
from wavepool.engine.attempts.saving import LOG_SLACK_BYTES, most_bytes, save_chunks
from wavepool.errors import SettingError
from wavepool.units import MIB

pytestmark = pytest.mark.anyio


async def chunks(*pieces: bytes, gap_at: int | None = None) -> AsyncIterator[LogChunk]:
    for number, data in enumerate(pieces):
        yield LogChunk(stream="stdout", data=data, gap=number == gap_at)


async def test_what_fits_is_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert await save_chunks(chunks(b"one", b"two"), path, limit_bytes=6) == (6, False, "")
    assert path.read_bytes() == b"onetwo"
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_comes_after_the_limit_is_read_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert await save_chunks(chunks(b"one", b"two", b"three"), path, limit_bytes=5) == (5, True, "")
    assert path.read_bytes() == b"onetw"


async def test_a_gap_is_told_where_the_limit_is_not_reached(tmp_path: Path) -> None:
    assert await save_chunks(chunks(b"one", b"two", gap_at=1), tmp_path / "log", limit_bytes=100) == (6, True, "")


def test_the_engine_keeps_the_limit_and_at_most_a_quarter_more() -> None:
    config = log_config(32 * MIB)["Config"]
    piece, files = int(config["max-size"]), int(config["max-file"])
    assert piece * (files - 1) >= 32 * MIB
    assert piece * files <= most_bytes(32 * MIB) == 40 * MIB + LOG_SLACK_BYTES


def test_the_limit_is_a_setting(tmp_path: Path) -> None:
    environ = {"WAVEPOOL_LOG_LIMIT": "1m", "HOME": str(tmp_path)}
    assert load_settings({}, environ=environ, cwd=tmp_path).log_limit == MIB
    with pytest.raises(SettingError, match="64k"):
        load_settings({}, environ={**environ, "WAVEPOOL_LOG_LIMIT": "1k"}, cwd=tmp_path)
