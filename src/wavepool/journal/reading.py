"""Reading a journal: by whoever goes on with it, and by those who only look.

Looking changes nothing that counts, however a journal was left: live, closed, or by a process that died. Where there is
no write-ahead log the database is opened as one that never changes, so that nothing is made beside it; where there is
one, SQLite needs its ``-shm``, an index that holds nothing of its own, and makes or mends that one; where it may not
(a directory that we cannot write to), database and log are read from a copy. No lock of ours is taken; SQLite's own
shared lock keeps the writer from copying pages under a reader, and never makes it wait.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wavepool.core.facts import Stamped
from wavepool.errors import JournalError
from wavepool.journal.codec import Undecodable
from wavepool.journal.damage import damaged, explain
from wavepool.journal.rows import COLUMNS, BadRow, from_row
from wavepool.journal.tip import read_tip, this_boot

SCHEMA_VERSION = 1

HEADER_BYTES = 100
"""Of a SQLite database; the shortest that has a table is longer (sqlite.org/fileformat2.html, 1.3)."""

TRIES = 4
"""Readings before an error counts as damage, where a writer has begun, ended or copied its log in meanwhile."""

_NEEDS_A_COPY = ("SQLITE_CANTOPEN", "SQLITE_READONLY")


class JournalReader:
    """Looks at the journal of another process, living or dead. Never writes to it, and keeps nothing open.

    Args:
        path: the database.
        owner, run_id: they must be those of the journal (None: not checked).
    """

    def __init__(self, path: Path, *, owner: str | None = None, run_id: str | None = None) -> None:
        self.path = path
        self._owner = owner
        self._run_id = run_id

    def committed(self) -> int:
        """How many facts there are at least; costs one read of a small file.

        Raises:
            JournalError: there is no journal, or the file beside it that says this is damaged.
        """
        if not self.path.is_file():
            raise no_journal(self.path)
        return read_tip(self.path).committed

    def read(self, start: int = 1, *, check: bool | None = None) -> Iterator[Stamped]:
        """All committed facts from number `start` on (the first one is number 1). Blocks.

        The whole database is checked first where `check` says so, or by itself where `start` is 1; a follower asks
        for the number after the last that it was given, and pays for what is new.

        Raises:
            JournalError: while iterating: there is no journal, it is damaged, lacks facts that were committed, or is
                of another release, owner or run. What was yielded before it is true.
        """
        check = start == 1 if check is None else check
        for left in reversed(range(TRIES)):
            before = _footprint(self.path)
            try:
                with _opened(self.path) as connection:
                    for stamped in read_facts(
                        connection, self.path, owner=self._owner, run_id=self._run_id, start=start, check=check
                    ):
                        start += 1
                        yield stamped
            except JournalError:
                if left == 0 or _footprint(self.path) == before:
                    raise
            else:
                return


def connect(path: Path) -> sqlite3.Connection:
    """A connection that reads, for the process that goes on with the journal.

    Raises:
        JournalError: there is none, or it cannot be opened.
    """
    return _connect(path, "mode=ro")


def check_meta(connection: sqlite3.Connection, path: Path, *, owner: str | None, run_id: str | None) -> None:
    """See that the journal is one of this release, this owner and this run. Raises JournalError."""
    try:
        row = connection.execute("SELECT schema_version, owner, run_id FROM meta").fetchone()
    except sqlite3.Error as error:
        raise explain(path, error, doing="read") from error
    if row is None or not isinstance(row[0], int) or row[0] < 1:
        raise damaged(path, "it does not say its version")
    if row[0] > SCHEMA_VERSION:
        raise JournalError(
            str(path),
            f"the journal has schema {row[0]}; this release knows up to {SCHEMA_VERSION}",
            advice="It was written by a newer Wavepool: use that one, or start again with a new --run-id.",
        )
    for name, mine, theirs in (("owner", owner, row[1]), ("run", run_id, row[2])):
        if mine is not None and mine != theirs:
            raise JournalError(
                str(path), f"the journal is of {name} {theirs!r}, not {mine!r}", advice="See --run-id and --state-dir."
            )


def check_count(connection: sqlite3.Connection, path: Path, *, required: int) -> None:
    """A damaged or shortened log shows in the number of the last fact alone; each number before it is seen to later.

    Raises:
        JournalError: fewer than `required` facts are there.
    """
    try:
        last = connection.execute("SELECT coalesce(max(seq), 0) FROM facts").fetchone()[0]
    except sqlite3.Error as error:
        raise explain(path, error, doing="read") from error
    if last < required:
        raise damaged(path, f"{required} facts were committed, and only {last} can be found")


def read_facts(
    connection: sqlite3.Connection,
    path: Path,
    *,
    owner: str | None,
    run_id: str | None,
    start: int = 1,
    check: bool = True,
) -> Iterator[Stamped]:
    """Each fact from number `start` on, in order.

    With `check` after quick_check, as rows cut off at the end would leave no gap in the numbers.

    Raises:
        JournalError: while iterating, at the first damage.
    """
    check_meta(connection, path, owner=owner, run_id=run_id)
    tip = read_tip(path)
    try:
        connection.execute("BEGIN")  # the checks and the reading see one state
        connection.execute("PRAGMA cell_size_check = ON")
        if check:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise damaged(path, verdict)
        check_count(connection, path, required=tip.required(this_boot()))
        rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM facts WHERE seq >= ? ORDER BY seq", (start,))
        for expected_seq, row in enumerate(rows, start=start):
            yield from_row(expected_seq, row)
    except sqlite3.Error as error:
        raise explain(path, error, doing="read") from error
    except Undecodable as error:
        raise JournalError(
            str(path), str(error), advice="It was written by another release of Wavepool: use that one."
        ) from error
    except (BadRow, ValueError, TypeError) as error:
        raise damaged(path, str(error)) from error


def no_journal(path: Path) -> JournalError:
    """There is nothing to be read."""
    return JournalError(str(path), "there is no journal", advice="See the run id and --state-dir.")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for somebody who only looks. Raises JournalError."""
    if not _log_of(path).exists():
        with contextlib.closing(_connect(path, "mode=ro&immutable=1")) as connection:
            yield connection
        return
    connection = _connect(path, "mode=ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except sqlite3.Error as error:
        connection.close()
        if not (getattr(error, "sqlite_errorname", None) or "").startswith(_NEEDS_A_COPY):
            raise explain(path, error, doing="read") from error
    else:
        with contextlib.closing(connection):
            yield connection
        return
    with _copied(path) as connection:
        yield connection


@contextmanager
def _copied(path: Path) -> Iterator[sqlite3.Connection]:
    # Safe, as nobody writes to it: a live writer would have left the index that was missed.
    with tempfile.TemporaryDirectory(prefix="wavepool-journal-") as place:
        copy = Path(place) / path.name
        try:
            shutil.copyfile(path, copy)
            shutil.copyfile(_log_of(path), _log_of(copy))
        except OSError as error:
            raise explain(path, error, doing="read") from error
        with contextlib.closing(_connect(copy, "mode=ro")) as connection:
            yield connection


def _connect(path: Path, how: str) -> sqlite3.Connection:
    if not path.is_file():
        raise no_journal(path)
    try:
        size_bytes = path.stat().st_size
        if size_bytes < HEADER_BYTES:  # SQLite would take it for empty, and delete the log beside it with all its facts
            what = f"{size_bytes} bytes are no SQLite database" if size_bytes else "the file is empty"
            raise damaged(path, what)
        return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise explain(path, error, doing="open") from error


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _footprint(path: Path) -> tuple[object, ...]:
    """What changes when a writer begins, ends, or copies its log into the database."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns, _log_of(path).exists())
