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
from dataclasses import replace
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
from wavepool.journal.reading import SCHEMA_VERSION
from wavepool.journal.rows import checksum
from wavepool.journal.sqlite import WAITING_MAX, SqliteJournal
from wavepool.journal.tip import Tip, path_of, read_tip, this_boot
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


async def test_a_closed_journal_is_two_private_files_with_its_log_copied_in(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        await journal.append(series(10))
    assert {entry.name for entry in path.parent.iterdir()} == {path.name, path_of(path).name}
    assert permissions(path) == permissions(path_of(path)) == 0o600


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
    before = contents(path)
    with pytest.raises(JournalError, match=r"(?s)damaged.*Nothing was overwritten.*--run-id") as caught:
        await replay_and_append(path)
    assert str(path) in str(caught.value)
    assert contents(path) == before


async def replay_and_append(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        with contextlib.suppress(JournalError):
            list(journal.replay())
        await journal.append(series(1, 3))


async def test_only_one_can_open_a_journal_at_a_time(path: Path) -> None:
    async with SqliteJournal(path) as one:
        with pytest.raises(JournalError, match=r"(?s)another process has the journal open.*Wait"):
            async with SqliteJournal(path):
                pass
        await one.append(series(2))
    async with SqliteJournal(path) as other:
        await other.append(series(1, 2))
    assert reread(path) == series(3)


async def test_facts_are_not_mixed_with_what_others_write(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        await journal.append(series(2))
        change(path, "INSERT INTO facts SELECT 3, boot_s, utc, kind, body, crc32 FROM facts WHERE seq = 2")
        for _ in range(2):
            with pytest.raises(JournalError, match="another process has written"):
                await journal.append([stamped(99)])
        with pytest.raises(JournalError, match="another process has written"):
            await journal.sync()


async def test_many_that_create_at_once_make_one_journal(path: Path) -> None:
    made = 0

    async def make() -> None:
        nonlocal made
        with contextlib.suppress(JournalError):  # told that another has it open
            async with SqliteJournal(path):
                made += 1

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(make)
    assert made >= 1
    assert reread(path) == []
    assert not list(path.parent.glob(".*"))


async def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    await anyio.Path(path).write_bytes(b"my notes\n" * 1000)
    with pytest.raises(JournalError, match="no SQLite database"):
        async with SqliteJournal(path):
            pass
    assert contents(path) == {path.name: b"my notes\n" * 1000}


async def test_a_directory_that_does_not_exist_is_explained(path: Path) -> None:
    with pytest.raises(JournalError, match="--state-dir"):
        async with SqliteJournal(path / "below"):
            pass


# Processes that die

APPEND_UNTIL_KILLED = """
import itertools, os, sys, anyio
from pathlib import Path
from tests.contract.test_journals import SqliteJournal, stamped
from wavepool.journal import writer

async def main(path, end, checkpoint_pages):
    writer.CHECKPOINT_PAGES = int(checkpoint_pages)
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


@pytest.mark.parametrize("answers", [1, 2, 17, 60, 133, 250, 400])
async def test_a_kill_is_never_taken_for_damage(path: Path, answers: int) -> None:
    """Twice over, so that the second process begins with what the first left; the log is copied in every 20 pages."""
    for _ in range(2):
        append_until_dead(path, "kill", answers=answers, checkpoint_pages=20)
        async with SqliteJournal(path, must_exist=True) as journal:
            found = list(journal.replay())
            assert len(found) >= 3 * answers
            await journal.append(series(1, len(found)))


def append_until_dead(path: Path, end: str, *, answers: int = 250, checkpoint_pages: int = 4000) -> list[int]:
    """The numbers of the appends that were answered before the process died in the middle of others."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", APPEND_UNTIL_KILLED, str(path), end, str(checkpoint_pages)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if end == "kill" and len(lines) == answers:
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


FACTS = 300
SYNCED = 150
WAL_HEADER_BYTES = 32
WAL_FRAME_BYTES = 24 + 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a closed journal (``closed.db``) and one as a kill leaves it (``crashed.db``).

    Of the latter half is synced; ``synced.db-wal`` is what its log was then.
    """
    place = tmp_path_factory.mktemp("sound")

    async def write() -> None:
        async with SqliteJournal(place / "closed.db") as journal:
            await journal.append(series(FACTS))
        async with SqliteJournal(place / "live.db") as journal:
            for number in range(0, FACTS, 5):
                if number == SYNCED:
                    await journal.sync()
                    shutil.copy(place / "live.db-wal", place / "synced.db-wal")
                await journal.append(series(5, number))
            for suffix in ("", "-wal", "-tip"):  # not the -shm: it is made anew by whoever is first
                shutil.copy(place / f"live.db{suffix}", place / f"crashed.db{suffix}")

    anyio.run(write)
    return place


VICTIMS = st.sampled_from(
    ["closed.db", "closed.db-tip", "crashed.db", "crashed.db-tip", "crashed.db-wal", "crashed.db-wal"]
)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_flipped_bit_is_refused_or_harmless(sound: Path, data: st.DataObject) -> None:
    with copied(sound, data.draw(VICTIMS)) as (path, victim):
        content = bytearray(victim.read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] ^= 1 << data.draw(st.integers(0, 7))
        victim.write_bytes(content)
        assert_complete_or_refused(path)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_truncated_file_is_refused_or_harmless(sound: Path, data: st.DataObject) -> None:
    with copied(sound, data.draw(VICTIMS)) as (path, victim):
        os.truncate(victim, data.draw(st.integers(0, victim.stat().st_size - 1)))
        assert_complete_or_refused(path)


def test_a_log_cut_off_at_a_page_is_refused(sound: Path) -> None:
    """At each border of a page, where SQLite sees a sound log, only a shorter one."""
    with copied(sound, "crashed.db-wal") as (path, log):
        pages = (log.stat().st_size - WAL_HEADER_BYTES) // WAL_FRAME_BYTES
        assert pages > 60
        for left in reversed(range(pages)):
            os.truncate(log, WAL_HEADER_BYTES + left * WAL_FRAME_BYTES)
            assert_complete_or_refused(path, refused=True)
        os.truncate(log, 0)
        assert_complete_or_refused(path, refused=True)


@pytest.mark.parametrize("left", [0, 1, 99])
def test_an_empty_database_does_not_cost_its_log(sound: Path, left: int) -> None:
    with copied(sound, "crashed.db") as (path, database):
        os.truncate(database, left)
        assert_complete_or_refused(path, refused=True)


@pytest.mark.parametrize("gone", ["crashed.db-wal", "crashed.db-tip", "closed.db-tip"])
def test_a_missing_file_is_refused(sound: Path, gone: str) -> None:
    with copied(sound, gone) as (path, victim):
        victim.unlink()
        assert_complete_or_refused(path, refused=True)


async def test_a_missing_database_is_not_made_anew(sound: Path) -> None:
    with copied(sound, "closed.db") as (path, victim):
        victim.unlink()
        before = contents(path)
        with pytest.raises(JournalError, match=f"{FACTS} facts were committed(?s:.)*Nothing was overwritten"):
            async with SqliteJournal(path):
                pass
        assert contents(path) == before


def test_a_loss_of_power_may_take_what_was_not_synced(sound: Path) -> None:
    """Any tail of the log after the last sync: cut off, or of zeros, as file systems leave it. Not more."""
    with copied(sound, "crashed.db-wal") as (path, log):
        after_a_reboot(path)
        full, synced_bytes = log.read_bytes(), (sound / "synced.db-wal").stat().st_size
        for left in range(len(full), WAL_HEADER_BYTES, -WAL_FRAME_BYTES // 2):
            for zeros in (0, len(full) - left):
                log.write_bytes(full[:left] + bytes(zeros))
                if left >= synced_bytes:
                    replayed = reread(path)
                    assert replayed == series(len(replayed))
                    assert len(replayed) >= SYNCED
                elif left < synced_bytes - 2 * WAL_FRAME_BYTES:  # more than the page that counts the syncs
                    assert_complete_or_refused(path, refused=True)


async def test_a_run_goes_on_after_a_loss_of_power(sound: Path) -> None:
    with copied(sound, "crashed.db-wal") as (path, log):
        after_a_reboot(path)
        os.truncate(log, (sound / "synced.db-wal").stat().st_size + 3 * WAL_FRAME_BYTES)
        async with SqliteJournal(path) as journal:
            found = len(list(journal.replay()))
            assert SYNCED <= found < FACTS
            await journal.append(series(3, found))
            assert read_tip(path) == Tip(boot=this_boot(), committed=found + 3, durable=SYNCED)
            await journal.sync()
            assert read_tip(path).durable == found + 3
        assert reread(path) == series(found + 3)


def after_a_reboot(path: Path) -> None:
    """Let the tip be of another boot."""
    path_of(path).write_bytes(replace(read_tip(path), boot=b"an earlier boot.").encode())


@contextlib.contextmanager
def copied(sound: Path, name: str) -> Iterator[tuple[Path, Path]]:
    """Copies of the journal to which the file called `name` belongs, and of that file."""
    with tempfile.TemporaryDirectory() as place:
        journal = name.partition("-")[0]
        for source in sound.glob(f"{journal}*"):
            if not source.name.endswith("-shm"):
                shutil.copy(source, place)
        yield Path(place) / journal, Path(place) / name


def assert_complete_or_refused(path: Path, *, refused: bool = False) -> None:
    """All facts come back, or an error that leaves every file as it is, even if somebody then tries to append."""
    before = contents(path)
    try:
        replayed = reread(path)
    except JournalError:
        with pytest.raises(JournalError):
            anyio.run(replay_and_append, path)
    else:
        assert replayed == series(FACTS)
        assert not refused
    assert contents(path) == before


def contents(path: Path) -> dict[str, bytes]:
    """Each file of the journal that has any content; not the -shm, which holds nothing of its own."""
    files = path.parent.glob(f"{path.name}*")
    read = {file.name: file.read_bytes() for file in files if not file.name.endswith("-shm")}
    return {name: content for name, content in read.items() if content}


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o777


def change(path: Path, statement: str, *values: object) -> None:
    """Edit a closed journal behind its back."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement, values)
        connection.commit()
