"""The file of what a run used: read up to any tear, bounded, and whole after every kill of its writer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.engine.usage import record as records
from wavepool.engine.usage.record import (
    ATTEMPT_STRETCHES,
    ATTEMPTS,
    GROWTH_BYTES,
    MISSING,
    RUN_STRETCHES,
    UsageFile,
    UsageRecord,
    attempt_line,
    head_line,
    name_line,
    read_record,
    record_of,
    run_line,
)
from wavepool.engine.usage.series import Stretch
from wavepool.model import AttemptId

MANY = ATTEMPTS + 300
SINCE_S = 1_795_000_000.0
ODD = AttemptId("t\u00e4sk \ud800\n|", 2)


def stretch(at: float, memory_kib: int = 100) -> Stretch:
    return Stretch(SINCE_S + at, SINCE_S + at + 4, 4.0, memory_kib * 1024, memory_kib * 4096.0, 1.5, 3)


def lines(count: int) -> list[bytes]:
    found = [head_line(SINCE_S), name_line(0, ODD, 1 << 20)]
    for n in range(count):
        found += [run_line(stretch(4 * n, 100 + n), SINCE_S), attempt_line(0, stretch(4 * n, 50 + n), SINCE_S)]
    return found


def shape(record: UsageRecord) -> object:
    return list(record.together), {
        each: (usage.limit_bytes, list(usage.series)) for each, usage in record.attempts.items()
    }


def test_what_was_written_is_read() -> None:
    record = record_of(b"".join(lines(3)))
    assert record.problem == ""
    assert [each.memory_peak_bytes for each in record.together] == [100 << 10, 101 << 10, 102 << 10]
    assert list(record.together)[1] == stretch(4, 101)
    usage = record.attempts[ODD]
    assert usage.limit_bytes == 1 << 20
    assert list(usage.series)[2] == stretch(8, 52)._replace(attempts=1)


WHOLE = b"".join(lines(3))
LINE_ENDS = [end for end in range(len(WHOLE) + 1) if WHOLE[:end].endswith(b"\n")]


def test_a_writer_that_was_killed_at_any_byte_leaves_all_lines_before_it() -> None:
    for cut in range(len(WHOLE) + 1):
        read = record_of(WHOLE[:cut])
        assert read.problem == ""
        assert shape(read) == shape(record_of(WHOLE[: max((end for end in LINE_ENDS if end <= cut), default=0)]))


@pytest.mark.parametrize("cut", [0, 5, *(end + beyond for end in LINE_ENDS[:4] for beyond in (-1, 0, 7))])
def test_who_goes_on_where_a_writer_was_killed_keeps_all_and_is_read(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "usage"
    path.write_bytes(WHOLE[:cut])
    read = read_record(path)
    file = UsageFile(path, SINCE_S + 1000)
    assert shape(file.write_anew()) == shape(read)
    file.append([name_line(0, ODD, 1 << 20), attempt_line(0, stretch(2000, 7), file.since_s)])
    after = read_record(path)
    assert after.problem == ""
    assert list(after.together) == list(read.together)
    assert [each.memory_peak_bytes for each in after.attempts[ODD].series][-1] == 7 << 10
    assert len(after.attempts[ODD].series) == (len(read.attempts[ODD].series) if ODD in read.attempts else 0) + 1


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_said_and_ends_what_is_read(at: int, change: int) -> None:
    data = bytearray(WHOLE)
    data[at] ^= change
    read = record_of(bytes(data))
    if read.problem == "":  # the last line's end: then it is a line that is still being written
        assert at == len(WHOLE) - 1
    assert list(read.together) == list(record_of(WHOLE).together)[: len(read.together)]


@given(st.binary(max_size=300))
def test_any_bytes_are_told_as_damage_or_as_nothing(data: bytes) -> None:
    read = record_of(data)
    assert len(read.together) == 0
    assert bool(read.problem) == (b"\n" in data)


def test_a_missing_one_is_said_and_one_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert read_record(tmp_path / "usage").problem == MISSING
    assert "Is a directory" in read_record(tmp_path).problem


def test_of_a_format_that_is_not_ours_nothing_is_read() -> None:
    assert record_of(records._line(["wavepool usage", 2, SINCE_S])).problem
    assert record_of(head_line(SINCE_S) + records._line([7, 1, 2])).problem == ""  # nobody has that number: left out
    assert record_of(head_line(SINCE_S) + records._line(["run", 1, 2])).problem
    assert record_of(head_line(SINCE_S) + records._line(["run", 1, 2, float("nan"), 1, 1, 1, 1])).problem


def test_a_file_is_bounded_however_much_is_written(tmp_path: Path) -> None:
    """As the recorder does it: more attempts than are kept, each with as many stretches as are."""
    path = tmp_path / "usage"
    file = UsageFile(path, SINCE_S)
    file.write_anew()
    most = 0
    for n in range(MANY):
        attempt = AttemptId(f"task-{n}", 1)
        file.append(
            [name_line(n, attempt, 0), *(attempt_line(n, stretch(4 * n + at), SINCE_S) for at in range(0, 96, 4))]
        )
        file.append([run_line(stretch(4 * n), SINCE_S)])
        if file.since_anew > GROWTH_BYTES:
            most = max(most, path.stat().st_size)
            file.write_anew()
    assert 0 < most < 1_500_000
    read = read_record(path)
    assert len(read.attempts) == ATTEMPTS
    assert len(read.together) <= RUN_STRETCHES
    assert all(len(usage.series) <= ATTEMPT_STRETCHES for usage in read.attempts.values())
    whole = read.together.whole()
    assert whole is not None
    assert whole.cpu_s == pytest.approx(1.5 * MANY)
    assert [each.name for each in tmp_path.iterdir()] == ["usage"]
