"""The framed log: written by the supervisor, bounded, read as it grows."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from wavepool.drivers.base import LogChunk
from wavepool.drivers.process.logs import HEADER, FrameReader
from wavepool.drivers.process.supervisor.kernel import quoted
from wavepool.drivers.process.supervisor.log import STDERR, STDOUT, Log


def read_all(path: Path, since: datetime | None = None) -> list[LogChunk]:
    chunks: list[LogChunk] = []
    with closing(FrameReader(path, since)) as reader:
        while more := reader.read():
            chunks += more
        assert reader.at_end()
    return chunks


def test_both_streams_byte_for_byte(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), 10_000, 1_000)
    log.add(STDOUT, bytes(range(256)))
    log.add(STDERR, b"\xff")
    log.close()
    assert read_all(tmp_path / "log") == [
        LogChunk(stream="stdout", data=bytes(range(256))),
        LogChunk(stream="stderr", data=b"\xff"),
    ]


def test_beyond_the_cap_the_head_and_the_tail_are_kept_and_the_gap_is_marked(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), 1_000, 200)
    written = b"".join(b"%07d\n" % number for number in range(1_000))
    for start in range(0, len(written), 80):
        log.add(STDOUT, written[start : start + 80])
    log.close()
    chunks = read_all(tmp_path / "log")
    gap = next(index for index, chunk in enumerate(chunks) if chunk.gap)
    head, tail = (b"".join(chunk.data for chunk in part) for part in (chunks[:gap], chunks[gap:]))
    assert written.startswith(head)
    assert written.endswith(tail)
    assert len(head) + len(tail) + log.dropped_bytes == len(written)
    assert 80 <= len(tail) <= 200
    assert (tmp_path / "log").stat().st_size <= 1_200
    assert sum(chunk.gap for chunk in chunks) == 1


def test_one_huge_piece_beyond_the_cap_leaves_its_end(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), 100, 50)
    log.add(STDOUT, b"x" * 5_000 + b"the end")
    log.close()
    (chunk,) = read_all(tmp_path / "log")
    assert chunk.gap
    assert chunk.data.endswith(b"the end")
    assert log.dropped_bytes + len(chunk.data) == 5_007


def test_an_overflow_that_fits_the_tail_is_no_gap(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), 30, 100)
    log.add(STDOUT, b"0123456789")
    log.add(STDOUT, b"abcdef")
    log.close()
    assert [(chunk.data, chunk.gap) for chunk in read_all(tmp_path / "log")] == [
        (b"0123456789", False),
        (b"abcdef", False),
    ]
    assert log.dropped_bytes == 0


def test_half_a_frame_waits_for_its_rest(tmp_path: Path) -> None:
    path = tmp_path / "log"
    frame = HEADER.pack(STDOUT, 5, 0) + b"hello"
    reader = FrameReader(path)
    assert reader.read() == []
    for cut in range(len(frame)):
        path.write_bytes(frame[:cut])
        assert reader.read() == []
    path.write_bytes(frame)
    assert reader.read() == [LogChunk(stream="stdout", data=b"hello")]


def test_a_file_that_is_removed_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    """Its attempt was archived, and removed, between two looks of somebody who follows it."""
    path = tmp_path / "log"
    log = Log(str(path), 1_000, 100)
    log.add(STDOUT, b"first")
    with closing(FrameReader(path)) as reader:
        assert [chunk.data for chunk in reader.read()] == [b"first"]
        log.add(STDOUT, b"last")
        log.close()
        path.unlink()
        assert not reader.at_end()
        assert [chunk.data for chunk in reader.read()] == [b"last"]
        assert reader.at_end()


def test_since_skips_what_came_before(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), 1_000, 100)
    log.add(STDOUT, b"before")
    between = time.time_ns() // 1000
    while time.time_ns() // 1000 == between:
        pass
    log.add(STDOUT, b"after")
    log.close()
    since = datetime.fromtimestamp((between + 1) / 1e6, UTC)
    assert [chunk.data for chunk in read_all(tmp_path / "log", since)] == [b"after"]


def test_what_a_task_wrote_into_its_own_log_ends_the_reading(tmp_path: Path) -> None:
    good = HEADER.pack(STDOUT, 2, 0) + b"ok"
    for bad in (HEADER.pack(9, 2, 0) + b"no", HEADER.pack(STDOUT, 1 << 31, 0) + b"no"):
        (tmp_path / "log").write_bytes(good + bad)
        assert [chunk.data for chunk in read_all(tmp_path / "log")] == [b"ok"]


def test_a_full_disk_loses_output_and_nothing_else() -> None:
    log = Log("/dev/full", 1_000, 100)
    log.add(STDOUT, b"lost")
    assert log.dropped_bytes == 4


def test_the_supervisors_json_is_json() -> None:
    import json

    value = {"a": [None, True, 1, 1.5, 'quote " back \\ new\nline é 漢 \x00'], "b": {"c": -1}, "d": []}
    assert json.loads(quoted(value)) == value
    assert json.loads(quoted("🎉")) == "�"
