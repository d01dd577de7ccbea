"""The file that samples are kept in: bounded, shared by any number of processes, and never needed for anything to run.

SQLite, one file, a rollback journal: whoever writes holds the file for one short transaction, and others wait for it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, fields
from pathlib import Path

from wavepool.errors import InfrastructureError
from wavepool.learning.samples import Sample
from wavepool.model import VerdictKind
from wavepool.statedir.files import make_private

FILE_NAME = "learned.sqlite"
APPLICATION_ID = 0x57504C53  # "WPLS"
VERSION = 1
"""Rises when a column's meaning changes; a file of another version is left alone."""
PATIENCE_S = 10.0
"""How long another process may hold the file."""

PER_TWIN, PER_KIND, IN_ALL = 20, 2_000, 50_000
"""Samples that are kept, the newest: of one piece of work, of a kind, and altogether. About 10 MB at most."""

_COLUMNS = tuple(field.name for field in fields(Sample))
_SCHEMA = f"""
CREATE TABLE samples (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, twin TEXT NOT NULL, tier INTEGER NOT NULL,
    limit_bytes INTEGER NOT NULL, verdict TEXT NOT NULL, own_oom INTEGER NOT NULL, peak_bytes INTEGER,
    duration_s REAL, start_s REAL, end_s REAL
);
CREATE INDEX by_twin ON samples (twin, id);
CREATE INDEX by_kind ON samples (kind, id);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""
_INSERT = f"INSERT INTO samples ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM samples ORDER BY id"
_TRIM = (
    "DELETE FROM samples WHERE {0} = ? AND id <= "
    "(SELECT id FROM samples WHERE {0} = ? ORDER BY id DESC LIMIT 1 OFFSET ?)"
)


class Store:
    """The samples of one state directory. Making the object touches nothing.

    Args:
        directory: the state directory.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME

    def read(self) -> list[Sample]:
        """All samples, the oldest first; none where there is no file.

        Raises:
            InfrastructureError: the file is damaged, of another version, or cannot be read.
        """
        if not self.path.exists():
            return []
        with self._opened() as file:
            try:
                return [_sample(row) for row in file.execute(_SELECT)]
            except ValueError as error:
                raise self._trouble(f"it holds what no sample has: {error}") from None

    def add(self, samples: Sequence[Sample]) -> None:
        """Keep `samples`, and give up the oldest beyond the bounds; the file is made where it is missing.

        Raises:
            InfrastructureError: as `read`, or it cannot be written.
        """
        if not samples:
            return
        try:
            make_private(self.path.parent)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise self._trouble(error.strerror or str(error)) from error
        with self._opened() as file, _writing(file):
            if not _version(file):
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    file.execute(statement)
            file.executemany(_INSERT, [_row(sample) for sample in samples])
            _trim(file, samples)

    def size_bytes(self) -> int:
        """Of the file, 0 where there is none."""
        try:
            return os.lstat(self.path).st_size
        except OSError:
            return 0

    def drop(self) -> int:
        """Forget everything; the bytes that were freed.

        Raises:
            InfrastructureError: the file cannot be removed.
        """
        freed = 0
        for path in (self.path, *(self.path.with_name(f"{FILE_NAME}{end}") for end in ("-journal", "-wal", "-shm"))):
            try:
                freed += os.lstat(path).st_size
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise InfrastructureError(
                    f"cannot remove {path}: {error.strerror or error}", advice="See that you own it, and remove it."
                ) from error
        return freed

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=PATIENCE_S, isolation_level=None)) as file:
                self._check(file)
                yield file
        except sqlite3.Error as error:
            raise self._trouble(str(error)) from error
        except OSError as error:
            raise self._trouble(error.strerror or str(error)) from error

    def _check(self, file: sqlite3.Connection) -> None:
        file.execute("BEGIN")  # one reading: between two of them another process may make the tables
        version = _version(file)
        application = file.execute("PRAGMA application_id").fetchone()[0]
        empty = not version and not file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        file.execute("COMMIT")
        if not empty and (application != APPLICATION_ID or version != VERSION):
            raise self._trouble(f"it is of version {version}, and this release knows version {VERSION}")

    def _trouble(self, why: str) -> InfrastructureError:
        return InfrastructureError(
            f"what earlier runs have taught, {self.path}, cannot be used: {why}",
            advice="Runs do without it. `wavepool prune --learned` removes it, and learning begins anew.",
        )


def _version(file: sqlite3.Connection) -> int:
    return int(file.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def _writing(file: sqlite3.Connection) -> Iterator[None]:
    file.execute("PRAGMA synchronous = NORMAL")
    file.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        file.execute("ROLLBACK")
        raise
    file.execute("COMMIT")


def _trim(file: sqlite3.Connection, added: Sequence[Sample]) -> None:
    for twin in {sample.twin for sample in added}:
        file.execute(_TRIM.format("twin"), (twin, twin, PER_TWIN))
    for kind in {sample.kind for sample in added}:
        file.execute(_TRIM.format("kind"), (kind, kind, PER_KIND))
    file.execute(
        "DELETE FROM samples WHERE id <= (SELECT id FROM samples ORDER BY id DESC LIMIT 1 OFFSET ?)", (IN_ALL,)
    )


def _row(sample: Sample) -> tuple[object, ...]:
    return tuple(int(value) if isinstance(value, bool) else value for value in astuple(sample))


def _sample(row: tuple[object, ...]) -> Sample:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["verdict"] = VerdictKind(str(values["verdict"]))
    values["own_oom"] = bool(values["own_oom"])
    return Sample(**values)  # type: ignore[arg-type]  # the columns' types are those of the fields
