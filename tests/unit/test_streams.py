"""Which of an archived output was stderr."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.drivers.base import LogChunk
from wavepool.engine.attempts import streams
from wavepool.engine.attempts.saving import save_chunks
from wavepool.engine.attempts.streams import StreamRuns, read_streams, stream_pieces

PIECES = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=8)), max_size=30)


def save(path: Path, pieces: list[tuple[str, bytes]], limit_bytes: int | None = None) -> None:
    async def chunks() -> AsyncIterator[LogChunk]:
        for stream, data in pieces:
            yield LogChunk(stream=stream, data=data)

    async def saving() -> None:
        await save_chunks(chunks(), path, limit_bytes=limit_bytes)

    anyio.run(saving)


@given(PIECES)
def test_what_was_written_comes_back_by_stream(tmp_path_factory: pytest.TempPathFactory, pieces) -> None:
    log = tmp_path_factory.mktemp("streams") / "a.1.log"
    save(log, pieces)
    found = read_streams(log)
    assert found.together == b"".join(data for _, data in pieces) == log.read_bytes()
    assert found.stdout == b"".join(data for stream, data in pieces if stream == "stdout")
    assert found.stderr == b"".join(data for stream, data in pieces if stream == "stderr")
    told = list(stream_pieces(log, 3))
    assert max((len(data) for _, data in told), default=0) <= 3
    assert b"".join(data for stream, data in told if stream == "stdout") == found.stdout
    assert b"".join(data for stream, data in told if stream == "stderr") == found.stderr


def test_beyond_the_limit_nothing_is_counted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    save(log, [("stdout", b"abc"), ("stderr", b"defgh"), ("stdout", b"ij")], limit_bytes=5)
    assert read_streams(log) == (b"abc", b"de", b"abcde")
    assert list(stream_pieces(log, 9)) == [("stdout", b"abc"), ("stderr", b"de")]


def test_an_output_without_stderr_has_no_index_and_none_of_an_earlier_try(tmp_path: Path) -> None:
    log = tmp_path / "log"
    save(log, [("stderr", b"cut off")])
    assert (tmp_path / "log.streams").read_text() == "err 7\n"
    assert (tmp_path / "log.streams").stat().st_mode & 0o777 == 0o600
    save(log, [("stdout", b"whole")])
    assert not (tmp_path / "log.streams").exists()
    assert read_streams(log) == (b"whole", b"", b"whole")


@pytest.mark.parametrize("index", ["err", "err x\n", "\xff", "err 3 4\n"])
def test_an_odd_index_is_not_heeded(tmp_path: Path, index: str) -> None:
    (tmp_path / "log").write_bytes(b"abc")
    (tmp_path / "log.streams").write_text(index, "latin-1")
    assert read_streams(tmp_path / "log") == (b"abc", b"", b"abc")


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_streams(None) == read_streams(tmp_path / "none") == (b"", b"", b"")


def test_the_index_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RUNS_MAX", 3)
    runs = StreamRuns()
    for n in range(10):
        runs.note("stderr" if n % 2 else "stdout", 1)
    runs.save(tmp_path / "log")
    assert (tmp_path / "log.streams").read_text() == "out 1\nerr 1\nout 8\n"
