"""What every journal promises, and what the one on disk promises when processes, disks and bits fail."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.core.facts import Stamped, StartIntended, TaskSettled
from wavepool.errors import JournalError
from wavepool.journal.base import Journal
from wavepool.journal.memory import MemoryJournal
from wavepool.journal.rows import checksum
from wavepool.journal.sqlite import SCHEMA_VERSION, WAITING_MAX, SqliteJournal
from wavepool.model import AttemptId, Resources

pytestmark = pytest.mark.anyio

START = datetime(2026, 11, 20, 23, 15, 30, 5, tzinfo=UTC)


def stamped(number: int) -> Stamped:
    """Fact `number`, different from every other."""
    at = START + timedelta(milliseconds=number)
    if number % 2:
        return Stamped(number / 7, at, TaskSettled(task_id=f"task-{number}"))
    held = Resources(number, number)
    return Stamped(number / 7, at, StartIntended(attempt=AttemptId(f"täsk-{number}", 1), node=0, held=held, at=at))


def series(count: int, start: int = 0) -> list[Stamped]:
    return [stamped(number) for number in range(start, start + count)]


Opener = Callable[[], Journal]


@pytest.fixture(params=["sqlite", "memory"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Each call gives the same journal anew, as another process would open it."""
    if request.param == "sqlite":
        return lambda: SqliteJournal(tmp_path / "journal.db", owner="o", run_id="r")
    kept = MemoryJournal()
    return lambda: kept


async def test_facts_come_back_in_their_order_and_exactly(opener: Opener) -> None:
    async with opener() as journal:
        assert list(journal.replay()) == []
        await journal.append(series(1))
        await journal.append(())
        await journal.append(series(2, 1), durable=True)
        await journal.append((), durable=True)
        await journal.sync()
        assert list(journal.replay()) == series(3)
    async with opener() as journal:
        replayed = list(journal.replay())
        assert replayed == series(3)
        assert all(item.utc.tzinfo is UTC for item in replayed)
        await journal.append(series(2, 3))
        assert list(journal.replay()) == series(5)


async def test_a_long_plan_is_one_append(opener: Opener) -> None:
    async with opener() as journal:
        await journal.append(series(1))
        await journal.append(series(1000, 1))
        await journal.append(series(1, 1001))
        assert list(journal.replay()) == series(1002)


async def test_concurrent_appends_are_kept_in_the_order_of_their_calls(opener: Opener) -> None:
    count = WAITING_MAX + 200  # some must wait for room
    async with opener() as journal:
        async with anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(journal.append, [stamped(number)])
        assert journal.pending == 0
        assert list(journal.replay()) == series(count)


async def test_nothing_is_appended_to_a_closed_journal(opener: Opener) -> None:
    journal = opener()
    async with journal:
        pass
    with pytest.raises(JournalError, match="not open"):
        await journal.append(series(1))


async def test_a_cancelled_caller_loses_nothing(opener: Opener) -> None:
    async with opener() as journal:
        for number in range(50):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await journal.append([stamped(number)])
        await journal.sync()
        assert journal.pending == 0
        assert list(journal.replay()) == series(50)


async def test_leaving_while_cancelled_still_writes(opener: Opener) -> None:
    with anyio.CancelScope() as scope:
        async with opener() as journal:
            scope.cancel()
            await journal.append(series(3))
    assert list(opener().replay()) == series(3)


# The journal on disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def reread(path: Path) -> list[Stamped]:
    return list(SqliteJournal(path).replay())


async def test_pending_counts_what_is_not_answered(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        async with anyio.create_task_group() as group:
            group.start_soon(journal.append, series(1))
            group.start_soon(journal.sync)
            while journal.pending < 2:
                await anyio.lowlevel.checkpoint()
        assert journal.pending == 0


async def test_a_closed_journal_is_one_private_file_with_its_log_copied_in(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        await journal.append(series(10))
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert permissions(path) == 0o600


async def test_a_live_journal_can_be_read(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        await journal.append(series(3))
        reading = SqliteJournal(path).replay()
        assert next(reading) == stamped(0)
        await journal.append(series(1, 3))
        assert list(reading) == series(2, 1)  # as it was when the reading began
        assert reread(path) == series(4)


async def test_a_journal_of_another_run_or_owner_is_refused(path: Path) -> None:
    async with SqliteJournal(path, owner="o", run_id="r"):
        pass
    for other in (SqliteJournal(path, owner="o", run_id="r2"), SqliteJournal(path, owner="o2", run_id="r")):
        with pytest.raises(JournalError, match="--run-id"):
            async with other:
                pass


async def test_a_journal_that_must_exist_is_not_made(path: Path) -> None:
    with pytest.raises(JournalError, match="no journal"):
        async with SqliteJournal(path, must_exist=True):
            pass
    with pytest.raises(JournalError, match="no journal"):
        reread(path)
    assert list(path.parent.iterdir()) == []


async def test_a_newer_schema_is_refused(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        await journal.append(series(1))
    change(path, f"UPDATE meta SET schema_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(JournalError, match="newer Wavepool"):
        reread(path)
    with pytest.raises(JournalError, match="newer Wavepool"):
        async with SqliteJournal(path):
            pass


async def test_a_fact_of_a_newer_release_is_no_damage(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        await journal.append(series(1))
    body = b'["PoolResized",1,{}]'
    sound = checksum(2, 0.5, START.isoformat(), "PoolResized", body)
    change(path, "INSERT INTO facts VALUES (2, 0.5, ?, 'PoolResized', ?, ?)", START.isoformat(), body, sound)
    with pytest.raises(JournalError, match=r"unknown kind PoolResized(?s:.)*another release"):
        reread(path)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM facts WHERE seq = 2",
        "DELETE FROM facts WHERE seq = 1",
        "UPDATE facts SET seq = 9 WHERE seq = 3",
        "UPDATE facts SET body = CAST(replace(CAST(body AS TEXT), 'task', 'tusk') AS BLOB) WHERE seq = 2",
        "UPDATE facts SET boot_s = 1 WHERE seq = 1",
        "UPDATE facts SET utc = '2026-11-20T23:15:30+00:00' WHERE seq = 1",
        "UPDATE facts SET crc32 = crc32 + 1 WHERE seq = 3",
        "UPDATE facts SET body = CAST(body AS TEXT) WHERE seq = 1",
        "UPDATE facts SET utc = 'yesterday' WHERE seq = 1",
        "DROP TABLE facts",
        "DELETE FROM meta",
        "DROP TABLE meta",
    ],
)
async def test_what_was_changed_is_found_and_nothing_is_added_to_it(path: Path, statement: str) -> None:
    async with SqliteJournal(path) as journal:
        await journal.append(series(3))
    change(path, statement)
    before = content(path)
    with pytest.raises(JournalError, match=r"(?s)damaged.*Nothing was overwritten.*--run-id") as caught:
        await replay_and_append(path)
    assert str(path) in str(caught.value)
    assert content(path) == before


async def replay_and_append(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        with contextlib.suppress(JournalError):
            list(journal.replay())
        await journal.append(series(1, 3))


async def test_two_openings_cannot_mix_their_facts(path: Path) -> None:
    async with SqliteJournal(path) as one, SqliteJournal(path) as other:
        await one.append(series(2))
        await other.append(series(1, 2))
        for _ in range(2):
            with pytest.raises(JournalError, match="another process has written"):
                await one.append([stamped(99)])
        with pytest.raises(JournalError, match="another process has written"):
            await one.sync()
        await other.append(series(1, 3))
    assert reread(path) == series(4)


async def test_two_that_create_at_once_make_one_journal(path: Path) -> None:
    async def make() -> None:
        async with SqliteJournal(path):
            pass

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(make)
    assert reread(path) == []
    assert not list(path.parent.glob(".*"))


async def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    await anyio.Path(path).write_bytes(b"my notes\n" * 1000)
    with pytest.raises(JournalError, match="no SQLite database"):
        async with SqliteJournal(path):
            pass
    assert content(path) == b"my notes\n" * 1000


async def test_a_directory_that_does_not_exist_is_explained(path: Path) -> None:
    with pytest.raises(JournalError, match="--state-dir"):
        async with SqliteJournal(path / "below"):
            pass


# Processes that die

APPEND_UNTIL_KILLED = """
import itertools, os, sys, anyio
from pathlib import Path
from tests.contract.test_journals import SqliteJournal, stamped

async def main(path, end):
    numbers = itertools.count()
    async with SqliteJournal(Path(path)) as journal, anyio.create_task_group() as group:
        async def work():
            for number in numbers:
                await journal.append([stamped(3 * number + n) for n in range(3)], durable=number % 10 == 0)
                os.write(1, b"%d\\n" % number)
                if end == "exit" and number == 300:
                    os._exit(7)
        for _ in range(16):
            group.start_soon(work)

anyio.run(main, *sys.argv[1:])
"""


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_a_process_that_dies_loses_nothing_that_was_acknowledged(path: Path, end: str) -> None:
    acknowledged = append_until_dead(path, end)
    assert len(acknowledged) > 200
    replayed = reread(path)
    assert len(replayed) % 3 == 0  # an append is there as a whole or not at all
    assert replayed == series(len(replayed))
    assert len(replayed) >= 3 * (max(acknowledged) + 1)


async def test_a_run_goes_on_where_a_killed_one_stopped(path: Path) -> None:
    append_until_dead(path, "kill")
    async with SqliteJournal(path, must_exist=True) as journal:
        found = list(journal.replay())
        await journal.append(series(5, len(found)), durable=True)
    assert reread(path) == series(len(found) + 5)


def append_until_dead(path: Path, end: str) -> list[int]:
    """The numbers of the appends that were answered before the process died in the middle of others."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", APPEND_UNTIL_KILLED, str(path), end]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if end == "kill" and len(lines) == 250:
                process.send_signal(signal.SIGKILL)
        assert process.wait() == (7 if end == "exit" else -signal.SIGKILL)
    return [int(line) for line in lines if line.endswith(b"\n")]


# Disks that fill

APPEND_UNTIL_FULL = """
import resource, sys, anyio
from pathlib import Path
from tests.contract.test_journals import JournalError, SqliteJournal, stamped

async def main(path, limit):
    async with SqliteJournal(Path(path)) as journal:
        if int(limit):
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
        number = 0
        try:
            while True:
                await journal.append([stamped(number), stamped(number + 1)])
                number += 2
        except JournalError as error:
            print(number, error, sep="\\n", end="\\n--\\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
        for again in (lambda: journal.append([stamped(number)]), journal.sync):
            try:
                await again()
            except JournalError as error:
                print("refused")

anyio.run(main, *sys.argv[1:])
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "wavepool-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small tmpfs needs root; the test with a file size limit stands in")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_file_that_may_not_grow_stops_the_run_and_keeps_the_facts(path: Path) -> None:
    assert_stops_when_full(path, limit_bytes=500_000, words="cannot write the journal")


def test_a_full_disk_stops_the_run_and_keeps_the_facts(small_disk: Path) -> None:
    assert_stops_when_full(small_disk / "journal.db", limit_bytes=0, words="disk is full")


def assert_stops_when_full(path: Path, *, limit_bytes: int, words: str) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", APPEND_UNTIL_FULL, str(path), str(limit_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told, after = done.stdout.split("--\n")
    assert words in told
    assert "Nothing was overwritten" in told
    assert after == "refused\n" * 2
    acknowledged = int(told.split("\n")[0])
    assert acknowledged > 100
    assert reread(path) == series(acknowledged)


# Bits that flip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a closed journal (``closed.db``) and one as a crash leaves it (``crashed.db`` with its log)."""
    place = tmp_path_factory.mktemp("sound")

    async def write() -> None:
        async with SqliteJournal(place / "closed.db") as journal:
            await journal.append(series(300))
        async with SqliteJournal(place / "live.db") as journal:
            for number in range(60):
                await journal.append(series(5, 5 * number))
            for suffix in ("", "-wal"):  # not the -shm: it is made anew, as after a reboot
                shutil.copy(place / f"live.db{suffix}", place / f"crashed.db{suffix}")

    anyio.run(write)
    return place


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_flipped_bit_never_makes_a_wrong_fact(sound: Path, data: st.DataObject) -> None:
    name, suffix = data.draw(st.sampled_from([("closed.db", ""), ("crashed.db", ""), ("crashed.db", "-wal")]))
    with copied(sound, name) as path:
        victim = path.with_name(path.name + suffix)
        content = bytearray(victim.read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] ^= 1 << data.draw(st.integers(0, 7))
        victim.write_bytes(content)
        assert_true_or_refused(path, may_lose_the_end=suffix == "-wal")
        assert victim.read_bytes() == bytes(content)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_truncated_file_never_makes_a_wrong_fact(sound: Path, data: st.DataObject) -> None:
    name, suffix = data.draw(st.sampled_from([("closed.db", ""), ("crashed.db", ""), ("crashed.db", "-wal")]))
    with copied(sound, name) as path:
        victim = path.with_name(path.name + suffix)
        size = data.draw(st.integers(0, victim.stat().st_size - 1))
        os.truncate(victim, size)
        assert_true_or_refused(path, may_lose_the_end=suffix == "-wal")
        assert victim.stat().st_size == size


@contextlib.contextmanager
def copied(sound: Path, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        for source in sound.glob(f"{name}*"):
            if not source.name.endswith("-shm"):
                shutil.copy(source, place)
        yield Path(place) / name


def assert_true_or_refused(path: Path, *, may_lose_the_end: bool) -> None:
    """Facts that come back are true. In the write-ahead log SQLite takes damage for the end of what was written."""
    count = 0
    try:
        for item in SqliteJournal(path).replay():
            assert item == stamped(count)
            count += 1
    except JournalError:
        return
    assert may_lose_the_end or count == 300


def content(path: Path) -> bytes:
    return path.read_bytes()


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o777


def change(path: Path, statement: str, *values: object) -> None:
    """Edit a closed journal behind its back."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement, values)
        connection.commit()
