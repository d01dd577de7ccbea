"""The journal on disk: SQLite in WAL mode, written by one thread, read by connections of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio import to_thread

from wavepool.core.facts import Stamped
from wavepool.errors import JournalError
from wavepool.journal.base import Journal
from wavepool.journal.damage import damaged, explain
from wavepool.journal.reading import SCHEMA_VERSION, check_count, check_meta, connect, read_facts
from wavepool.journal.tip import Tip, TipFile, this_boot
from wavepool.journal.writer import Request, Writer

WAITING_MAX = 1024
"""Appends under way at once; one more waits for room before it is handed over."""


class SqliteJournal(Journal):
    """A journal in a database and its ``-tip`` (with ``-wal`` and ``-shm`` while it is open, and after a crash).

    `replay` needs no `async with`: a finished run, or a live one of another process, can be read at any time; reading
    changes no fact (it may leave an empty ``-wal`` and a ``-shm``). A process that dies loses no committed fact; a
    machine that loses power keeps all up to the last durable append or sync. Where one of these facts is not there
    any more, entering and `replay` raise JournalError, and no file is written to. Only one process can have entered.

    Args:
        path: the database; its directory must exist, on a local file system (WAL needs shared memory).
        owner, run_id: kept where the file is created; where it exists, it must be theirs (None: not checked).
        must_exist: entering does not create it.
    """

    def __init__(
        self, path: Path, *, owner: str | None = None, run_id: str | None = None, must_exist: bool = False
    ) -> None:
        self._path = path
        self._owner = owner
        self._run_id = run_id
        self._must_exist = must_exist
        self._tip = TipFile(path)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: Writer | None = None
        self._room = anyio.Semaphore(WAITING_MAX)
        self._pending = 0
        self._failure: JournalError | None = None

    async def __aenter__(self) -> Self:
        await to_thread.run_sync(self._take)
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(self._path, self._tip, self._answer_from_thread)
        self._writer.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with anyio.CancelScope(shield=True):  # bounded by what was handed over
                await to_thread.run_sync(writer.stop)
        self._tip.release()

    async def append(self, facts: Sequence[Stamped], *, durable: bool = False) -> None:
        if facts or durable:
            await self._hand_over(tuple(facts), durable=durable)

    async def sync(self) -> None:
        await self._hand_over((), durable=True)

    @property
    def pending(self) -> int:
        return self._pending

    def replay(self) -> Iterator[Stamped]:
        try:
            with contextlib.closing(connect(self._path)) as connection:
                yield from read_facts(connection, self._path, owner=self._owner, run_id=self._run_id)
        except JournalError as error:
            self._failure = error  # no append may follow on top of what cannot be read
            raise

    async def _hand_over(self, facts: tuple[Stamped, ...], *, durable: bool) -> None:
        try:
            self._room.acquire_nowait()  # so that even a caller who is cancelled already hands over
        except anyio.WouldBlock:
            await self._room.acquire()
        if self._failure is not None or self._writer is None or self._loop is None:
            self._room.release()
            raise self._refusal()
        answer: asyncio.Future[None] = self._loop.create_future()
        self._pending += 1
        self._writer.submit(Request(facts, durable, answer))
        await answer

    def _answer_from_thread(self, group: Sequence[Request], failure: JournalError | None) -> None:
        # RuntimeError: the loop was closed without leaving the journal; nobody waits any more
        with contextlib.suppress(RuntimeError):
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._answer, group, failure)

    def _answer(self, group: Sequence[Request], failure: JournalError | None) -> None:
        self._failure = self._failure or failure
        self._pending -= len(group)
        for request in group:
            self._room.release()
            if request.answer.done():  # its caller was cancelled
                continue
            if failure is None:
                request.answer.set_result(None)
            else:
                request.answer.set_exception(_copy(failure))

    def _refusal(self) -> JournalError:
        if self._failure is not None:
            return _copy(self._failure)
        return JournalError(str(self._path), "the journal is not open")

    def _take(self) -> None:
        """Lock the journal, make it where there is none, and see that it is ours and complete."""
        new = not self._must_exist and not self._path.exists()
        if not new:
            self._check(required=0)  # what is wrong with the database itself is told before a missing tip
        tip = self._tip.take(new=new)
        try:
            if not self._path.exists():
                self._create(tip)
            self._check(required=tip.required(this_boot()))
        except BaseException:
            self._tip.release()
            raise

    def _create(self, tip: Tip) -> None:
        if tip.committed:
            raise damaged(self._path, f"{tip.committed} facts were committed, and the database is missing")
        try:
            _create(self._path, owner=self._owner or "", run_id=self._run_id or "")
        except (OSError, sqlite3.Error) as error:
            raise explain(self._path, error, doing="create") from error

    def _check(self, *, required: int) -> None:
        with contextlib.closing(connect(self._path)) as connection:
            check_meta(connection, self._path, owner=self._owner, run_id=self._run_id)
            check_count(connection, self._path, required=required)


def _create(path: Path, *, owner: str, run_id: str) -> None:
    """Make the file under another name and link it: under its own name it is complete or does not exist.

    So an empty or headless file is always damage, never a crash at an unlucky moment.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(resources.files(__package__).joinpath("schema.sql").read_text("utf-8"))
            connection.execute("INSERT INTO meta VALUES (1, ?, ?, ?, 0)", (SCHEMA_VERSION, owner, run_id))
        new.chmod(0o600)
        os.link(new, path)
    finally:
        for left in path.parent.glob(f"{new.name}*"):
            left.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _copy(error: JournalError) -> JournalError:
    """The same failure for another caller: one exception raised in many tasks would gather all their tracebacks."""
    copy = JournalError(error.path, error.message.removeprefix(f"{error.path}: "), advice=error.advice)
    copy.__cause__ = error
    return copy
