"""The thread that owns a journal's writing connection, and commits whatever is waiting as one group."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from wavepool.core.facts import Stamped
from wavepool.errors import JournalError
from wavepool.journal.damage import explain
from wavepool.journal.rows import COLUMNS, Row, to_row
from wavepool.journal.tip import TipFile

CHUNK_ROWS = 128
"""Rows of one INSERT. One statement for many rows, as each one gives up the interpreter's lock, and getting that back
from a busy event loop takes up to 5 ms (sys.getswitchinterval)."""

CHECKPOINT_PAGES = 4000
"""The write-ahead log is copied into the database after 16 MB; fewer, larger copies mean fewer fsyncs."""


class Request(NamedTuple):
    """Facts to be committed together, and who waits for it. No facts: a sync."""

    facts: Sequence[Stamped]
    durable: bool
    answer: asyncio.Future[None]


Answer = Callable[[Sequence[Request], JournalError | None], None]
"""Called in the writer's thread when a group was committed, or was not."""


class Writer:
    """One thread, one connection, opened with the first request: a journal that is only read is never touched.

    `tip` is held by the caller until `stop` returned, and was compared with the facts that are there: a connection
    that writes takes a damaged log for a shorter one, and makes it so.

    After the first failure nothing is written any more, and each request is answered with that failure.
    """

    def __init__(self, path: Path, tip: TipFile, answer: Answer) -> None:
        self._path = path
        self._tip = tip
        self._answer = answer
        self._queue: SimpleQueue[Request | None] = SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._next_seq = 1
        self._failure: JournalError | None = None
        # A daemon thread, so that a process whose event loop died does not hang at its end; the database is safe at
        # any point.
        self._thread = threading.Thread(target=self._run, name="wavepool-journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Never blocks; the caller bounds how many are under way."""
        self._queue.put(request)

    def stop(self) -> None:
        """Write what was submitted, close the connection, end the thread. Blocks."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            taken = self._take()
            group = [request for request in taken if request is not None]
            stopping = len(group) < len(taken)
            if group:
                self._answer(group, self._commit(group))
        self._close()

    def _take(self) -> list[Request | None]:
        taken = [self._queue.get()]
        with contextlib.suppress(Empty):
            while True:
                taken.append(self._queue.get_nowait())
        return taken

    def _commit(self, group: Sequence[Request]) -> JournalError | None:
        if self._failure is None:
            try:
                self._write(group)
            except Exception as error:  # whatever it is, the waiting callers must hear of it
                self._failure = explain(self._path, error, doing="write")
        return self._failure

    def _write(self, group: Sequence[Request]) -> None:
        connection = self._connection or self._open()
        durable = any(request.durable for request in group)
        count = sum(len(request.facts) for request in group)
        stamped = chain.from_iterable(request.facts for request in group)
        rows = (to_row(seq, item) for seq, item in enumerate(stamped, start=self._next_seq))
        if durable:
            _set_synchronous(connection, "FULL")
        if count == 0:
            connection.execute("UPDATE meta SET syncs = syncs + 1")
        elif count <= CHUNK_ROWS:
            _insert(connection, list(rows))
        else:
            _insert_many(connection, rows)
        if durable:
            _set_synchronous(connection, "NORMAL")
        self._next_seq += count
        self._tip.advance(self._next_seq - 1, durable=durable)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        self._connection = connection
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute("PRAGMA cell_size_check = ON")
        _set_synchronous(connection, "NORMAL")
        self._next_seq = connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM facts").fetchone()[0]
        return connection

    def _close(self) -> None:
        if self._connection is None:
            return
        # What is committed stands in the write-ahead log already: a copy that fails now loses nothing.
        with contextlib.suppress(sqlite3.Error):
            if self._failure is None:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.close()


def _set_synchronous(connection: sqlite3.Connection, level: str) -> None:
    # executescript, because this pragma acts when it is compiled, and execute() may use a compiled one again
    connection.executescript(f"PRAGMA synchronous = {level}")


def _insert_many(connection: sqlite3.Connection, rows: Iterator[Row]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        while chunk := list(islice(rows, CHUNK_ROWS)):
            _insert(connection, chunk)
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    connection.execute(_insert_sql(len(rows)), tuple(chain.from_iterable(rows)))


@cache
def _insert_sql(count: int) -> str:
    one = f"({', '.join('?' * len(COLUMNS))})"
    return f"INSERT INTO facts ({', '.join(COLUMNS)}) VALUES {', '.join([one] * count)}"
