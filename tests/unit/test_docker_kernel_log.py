"""What the kernel logs of memory kills, read without waiting."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wavepool.drivers.docker.watching.kernel_log import RECORD_BYTES, KernelLog, MemoryKill, parse_record

ID = "37baba0a47c463a5bea740dcccf93472ec9ee2ff4aa130b56cac2d7d3b615da4"


def record(text: str, logged_s: float = 627.525183) -> bytes:
    return f"6,1042,{logged_s * 1e6:.0f},-;{text}\n SUBSYSTEM=x\n".encode()


def kill(*, constraint: str, reached: str, victim: str, logged_s: float = 627.525183) -> bytes:
    where = f"oom_memcg={reached}," if reached else "global_oom,"
    return record(
        f"oom-kill:constraint=CONSTRAINT_{constraint},nodemask=(null),cpuset={ID},mems_allowed=0,"
        f"{where}task_memcg={victim},task=sh,pid=24137,uid=0",
        logged_s,
    )


def own_kill(logged_s: float, container_id: str = ID) -> bytes:
    path = f"/system.slice/docker-{container_id}.scope"
    return kill(constraint="MEMCG", reached=path, victim=path, logged_s=logged_s)


def test_a_container_that_reached_its_own_limit() -> None:
    told = parse_record(kill(constraint="MEMCG", reached=f"/docker/{ID}", victim=f"/docker/{ID}"))
    assert told == MemoryKill(container_id=ID, own_limit=True, logged_s=627.525183)


def test_systemds_names_of_groups() -> None:
    path = f"/system.slice/docker-{ID}.scope"
    assert parse_record(kill(constraint="MEMCG", reached=path, victim=path)) == MemoryKill(
        container_id=ID, own_limit=True, logged_s=627.525183
    )


def test_a_group_that_the_container_made_inside_of_its_own() -> None:
    told = parse_record(kill(constraint="MEMCG", reached=f"/docker/{ID}", victim=f"/docker/{ID}/inner"))
    assert told == MemoryKill(container_id=ID, own_limit=True, logged_s=627.525183)


def test_a_parent_group_that_was_full() -> None:
    told = parse_record(kill(constraint="MEMCG", reached="/docker", victim=f"/docker/{ID}"))
    assert told == MemoryKill(container_id=ID, own_limit=False, logged_s=627.525183)


def test_a_host_that_had_no_memory_left() -> None:
    told = parse_record(kill(constraint="NONE", reached="", victim=f"/docker/{ID}"))
    assert told == MemoryKill(container_id=ID, own_limit=False, logged_s=627.525183)


def test_other_records_say_nothing() -> None:
    assert parse_record(record("veth22cd3fb: entered promiscuous mode")) is None
    assert parse_record(kill(constraint="NONE", reached="", victim="/user.slice/session-1.scope")) is None
    assert parse_record(b"\xff\xfe no record at all") is None
    assert parse_record(b"") is None


def test_the_log_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    log = KernelLog(path)
    assert log.tally(ID) is None
    writer = os.open(path, os.O_WRONLY)
    try:
        os.write(writer, kill(constraint="MEMCG", reached=f"/docker/{ID}", victim=f"/docker/{ID}"))
        told = log.tally(ID)
        assert told is not None
        assert (told.kills, told.own_limit) == (1, True)
        assert log.tally("another") is None
    finally:
        os.close(writer)
        log.close()
        log.close()


def test_where_it_may_not_be_read_nothing_is_known(tmp_path: Path) -> None:
    log = KernelLog(tmp_path / "missing")
    assert log.tally(ID) is None
    log.close()


def log_of(tmp_path: Path, *records: bytes) -> KernelLog:
    """A log that holds these records: a pipe gives one of them for each read only if they are as long as a read."""
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    log = KernelLog(path)
    writer = os.open(path, os.O_WRONLY)
    for each in records:
        os.write(writer, each)
        assert log.tally("none") is None
    os.close(writer)
    return log


OTHER = ID.replace("37", "99", 1)


def test_a_mark_for_a_kill_in_another_container_is_told_apart(tmp_path: Path) -> None:
    log = log_of(tmp_path, kill(constraint="MEMCG", reached="/crowd", victim=f"/crowd/{ID}"))
    now = datetime.now(UTC)
    victim = log.tally(ID)
    assert victim is not None
    assert log.spares(OTHER, victim.at)
    assert not log.spares(ID, victim.at), "it was the victim"
    assert not log.spares(OTHER, now + timedelta(minutes=1)), "that was another time"
    log.close()


def test_a_kill_at_a_container_s_own_limit_spares_nobody(tmp_path: Path) -> None:
    log = log_of(tmp_path, kill(constraint="MEMCG", reached=f"/docker/{ID}", victim=f"/docker/{ID}"))
    victim = log.tally(ID)
    assert victim is not None
    assert not log.spares(OTHER, victim.at)
    log.close()


def test_where_the_kernel_leaves_lines_out_nobody_is_spared(tmp_path: Path) -> None:
    log = log_of(tmp_path, *[kill(constraint="NONE", reached="", victim=f"/docker/{ID}")] * 10)
    victim = log.tally(ID)
    assert victim is not None
    assert not log.spares(OTHER, victim.at)
    log.close()


@pytest.mark.parametrize("logged_s", [0.000001, 1e9], ids=["its clock is far behind", "far ahead"])
def test_what_comes_while_we_listen_was_now_whatever_its_stamp_says(tmp_path: Path, logged_s: float) -> None:
    before = datetime.now(UTC)
    log = log_of(tmp_path, own_kill(logged_s))
    told = log.tally(ID)
    assert told is not None
    assert before <= told.at <= datetime.now(UTC)
    log.close()


def holding(tmp_path: Path, *records: bytes) -> tuple[KernelLog, datetime, datetime]:
    """A log that held these when it was opened, and times just before and after that."""
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    for each in records:
        os.write(writer, each.ljust(RECORD_BYTES))
    before = datetime.now(UTC)
    log = KernelLog(path)
    after = datetime.now(UTC)
    os.close(writer)
    return log, before, after


@pytest.mark.parametrize("behind_s", [0.0, 1e6], ids=["a young host", "stamps that are ahead of any clock here"])
def test_an_old_kill_was_so_long_ago_as_the_log_went_on_since(tmp_path: Path, behind_s: float) -> None:
    since = record("veth22cd3fb: entered disabled state", behind_s + 1100.0)
    log, before, after = holding(tmp_path, own_kill(behind_s + 40.0), own_kill(behind_s + 100.0), since)
    told = log.tally(ID)
    assert told is not None
    assert told.kills == 2
    drift = timedelta(seconds=0.5)
    assert before - timedelta(seconds=1000) <= told.at <= after - timedelta(seconds=1000) + drift
    log.close()


def test_an_old_kill_that_nothing_followed_may_have_been_just_now(tmp_path: Path) -> None:
    log, before, after = holding(tmp_path, record("booted", 1.0), own_kill(100.0))
    told = log.tally(ID)
    assert told is not None
    assert before <= told.at <= after
    log.close()


def test_a_kill_at_the_opening_and_one_after_it_are_both_counted(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    os.write(writer, own_kill(100.0).ljust(RECORD_BYTES))
    os.write(writer, record("and much later", 5000.0).ljust(RECORD_BYTES))
    log = KernelLog(path)
    opened = datetime.now(UTC)
    os.write(writer, own_kill(101.0).ljust(RECORD_BYTES))
    told = log.tally(ID)
    assert told is not None
    assert (told.kills, told.at >= opened) == (2, True)
    os.close(writer)
    log.close()
