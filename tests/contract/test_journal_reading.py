"""Whoever only looks at a journal: sees all facts, changes nothing, and stands in nobody's way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.contract.test_journals import append_until_dead, series
from wavepool.errors import JournalError
from wavepool.journal.reading import JournalReader
from wavepool.journal.sqlite import SqliteJournal

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "run"
    place.mkdir()
    return place / "journal.db"


async def test_a_closed_journal_is_read_and_nothing_is_made_beside_it(path: Path) -> None:
    async with SqliteJournal(path, owner="o", run_id="r") as journal:
        await journal.append(series(10))
    before = files_of(path)
    reader = JournalReader(path, owner="o", run_id="r")
    assert list(reader.read()) == series(10)
    assert list(reader.read(8)) == series(3, 7)
    assert list(reader.read(11)) == []
    assert reader.committed() == 10
    assert files_of(path) == before


async def test_a_live_journal_is_read_and_followed_while_its_writer_goes_on(path: Path) -> None:
    reader = JournalReader(path)
    async with SqliteJournal(path) as journal:
        await journal.append(series(3))
        assert list(reader.read()) == series(3)
        half_read = reader.read()
        next(half_read)
        await journal.append(series(500, 3), durable=True)
        assert list(half_read) == series(2, 1)  # as it was when the reading began
        assert list(reader.read(4)) == series(500, 3)
        assert reader.committed() == 503
    assert list(reader.read(500)) == series(4, 499)
    async with SqliteJournal(path) as journal:  # and the next writer is not disturbed by what a reader left
        await journal.append(series(1, 503))
        assert list(reader.read(503)) == series(2, 502)


async def test_a_reading_that_a_writer_overtakes_goes_on(path: Path) -> None:
    """It began on a closed journal, as one that never changes; then a writer came, and copied its log in."""
    async with SqliteJournal(path) as journal:
        await journal.append(series(3000))
    reading = JournalReader(path).read()
    found = [next(reading) for _ in range(5)]
    async with SqliteJournal(path) as journal:
        await journal.append(series(3000, 3000), durable=True)
    found += reading
    assert found == series(len(found))
    assert len(found) >= 3000


def test_the_journal_of_a_killed_process_is_read_and_keeps_its_log(path: Path) -> None:
    append_until_dead(path, "kill")
    before = {name: content for name, content in files_of(path).items() if not name.endswith("-shm")}
    facts = list(JournalReader(path).read())
    assert facts == series(len(facts))
    assert len(facts) >= JournalReader(path).committed() > 200
    after = {name: content for name, content in files_of(path).items() if not name.endswith("-shm")}
    assert after == before


@pytest.fixture
def read_only(path: Path) -> Iterator[Path]:
    """The place where ``path`` appears in a mount that nobody can write through."""
    place = path.parent.parent / "read-only"
    place.mkdir()
    command = f"mount --bind {path.parent} {place} && mount -o remount,ro,bind {place}"
    if os.geteuid() != 0 or subprocess.run(["sh", "-c", command], capture_output=True, check=False).returncode != 0:
        pytest.skip("a read-only mount needs root")
    yield place / path.name
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_directory_that_cannot_be_written_to_is_enough(path: Path, read_only: Path) -> None:
    reader = JournalReader(read_only)
    async with SqliteJournal(path) as journal:
        await journal.append(series(10))
        assert in_another_process(read_only) == 10  # live: its index is there, and cannot be written to
        await journal.append(series(10, 10))
        assert in_another_process(read_only) == 20
    assert list(reader.read()) == series(20)  # closed
    await anyio.to_thread.run_sync(lambda: append_until_dead(path.with_name("dead.db"), "kill"))
    dead = read_only.with_name("dead.db")
    found = in_another_process(dead)
    assert found > 200
    path.with_name("dead.db-shm").unlink()  # as in a backup, which has no use for an index
    assert in_another_process(dead) == found


def in_another_process(path: Path) -> int:
    """How many facts a process that has nothing to do with the writer finds."""
    program = (
        "import sys; from pathlib import Path; from wavepool.journal.reading import JournalReader;"
        "print(sum(1 for _ in JournalReader(Path(sys.argv[1])).read()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    return int(done.stdout)


async def test_damage_is_told_and_left_as_it_is(path: Path) -> None:
    append_until_dead(path, "kill")
    log = path.with_name("journal.db-wal")
    content = bytearray(log.read_bytes())
    content[len(content) // 3] ^= 1
    log.write_bytes(content)
    before = files_of(path)
    with pytest.raises(JournalError, match=r"(?s)damaged.*Nothing was overwritten"):
        list(JournalReader(path).read())
    assert files_of(path)[log.name] == before[log.name]
    assert files_of(path)[path.name] == before[path.name]
    log.unlink()
    with pytest.raises(JournalError, match="facts were committed, and only"):
        list(JournalReader(path).read())


async def test_a_journal_that_is_not_there_or_is_another_ones_is_told(path: Path) -> None:
    for look in (JournalReader(path).committed, lambda: list(JournalReader(path).read())):
        with pytest.raises(JournalError, match="there is no journal"):
            look()
    async with SqliteJournal(path, run_id="r"):
        pass
    with pytest.raises(JournalError, match="of run 'r', not 'q'"):
        list(JournalReader(path, run_id="q").read())
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    with pytest.raises(JournalError, match=r"copy\.db-tip.*is missing"):
        list(JournalReader(copy).read())


def files_of(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}
