"""How far a journal had got, in a small file beside it, and the lock of the one process that may go on with it.

SQLite takes a damaged write-ahead log for a shorter one: without an error it drops the damaged commit and all after
it, and writes over them. The tip says how many facts there must be (docs/decisions/0010).

It is one record of 44 bytes, written over after each commit and never synced again: a killed process leaves it as it
was last written, and after a loss of power an older record only asks for less.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from uuid import UUID
from zlib import crc32

from wavepool.errors import JournalError
from wavepool.journal.damage import damaged, explain, held

_MAGIC = b"wavetip1"
_FIELDS = Struct(">8s16sQQ")
_SUM = Struct(">I")
_SIZE_BYTES = _FIELDS.size + _SUM.size

_NO_BOOT = bytes(16)

_LOOKS = 5
"""Reads before a record counts as damaged: a reader may meet the writer in the middle of one, for nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """What a journal must hold.

    Attributes:
        boot: the boot in which this was written, 16 bytes; zeros where unknown.
        committed: facts committed so far; they survive the end of the process.
        durable: how many of these were synced; they also survive a loss of power.
    """

    boot: bytes = _NO_BOOT
    committed: int = 0
    durable: int = 0

    def required(self, boot: bytes) -> int:
        """How many facts must be found in the boot called `boot`; after another one only what was synced."""
        return self.committed if self.boot == boot != _NO_BOOT else self.durable

    def encode(self) -> bytes:
        """The record."""
        return _encode(self.boot, self.committed, self.durable)


class TipFile:
    """The tip of the journal that this process goes on with. `take` and `release` are called once each, in this order.

    Args:
        journal: the journal's file.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._descriptor = -1
        self._boot = _NO_BOOT
        self._durable = 0

    def take(self, *, new: bool) -> Tip:
        """Lock the file and read it; with `new` make it where there is none.

        Raises:
            JournalError: another process (or this one, elsewhere) holds it; it is missing, damaged or out of reach.
        """
        try:
            self._descriptor = os.open(
                path_of(self._journal), os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if new else 0), 0o600
            )
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if new and os.fstat(self._descriptor).st_size == 0:
                os.pwrite(self._descriptor, Tip().encode(), 0)
                os.fsync(self._descriptor)
            tip = _decode(self._journal, os.pread(self._descriptor, _SIZE_BYTES + 1, 0))
        except BaseException as error:
            self.release()
            if isinstance(error, BlockingIOError):
                raise held(self._journal) from error
            if isinstance(error, FileNotFoundError) and not new:
                raise _missing(self._journal) from error
            if isinstance(error, OSError):
                raise explain(self._journal, error, doing="open") from error
            raise
        self._boot = this_boot()
        self._durable = tip.durable
        return tip

    def advance(self, committed: int, *, durable: bool) -> None:
        """Say that `committed` facts are committed now; with `durable`, that all of them are synced.

        One write within one page: a process is killed before it or after it.

        Raises:
            OSError: it cannot be written.
        """
        if durable:
            self._durable = committed
        os.pwrite(self._descriptor, _encode(self._boot, committed, self._durable), 0)

    def release(self) -> None:
        """Let others take it. Harmless where it is not held."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        with contextlib.suppress(OSError):
            # closing alone would not do while a child of ours stands between fork and exec with a copy
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def path_of(journal: Path) -> Path:
    """The tip's file, beside its journal."""
    return journal.with_name(f"{journal.name}-tip")


def read_tip(journal: Path) -> Tip:
    """The tip as it is now; the journal may be live. Read it before the facts: they only become more.

    Raises:
        JournalError: it is missing, damaged or out of reach.
    """
    for _ in range(_LOOKS - 1):
        with contextlib.suppress(JournalError):
            return _look(journal)
    return _look(journal)


def this_boot() -> bytes:
    """The kernel's id of this boot, 16 bytes; zeros where there is none (then no two boots are taken for one)."""
    try:
        return UUID(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()).bytes
    except (OSError, ValueError):
        return _NO_BOOT


def _encode(boot: bytes, committed: int, durable: int) -> bytes:
    fields = _FIELDS.pack(_MAGIC, boot, committed, durable)
    return fields + _SUM.pack(crc32(fields))


def _look(journal: Path) -> Tip:
    try:
        return _decode(journal, path_of(journal).read_bytes())
    except FileNotFoundError as error:
        raise _missing(journal) from error
    except OSError as error:
        raise explain(journal, error, doing="read") from error


def _decode(journal: Path, record: bytes) -> Tip:
    fields, checksum = record[: _FIELDS.size], record[_FIELDS.size :]
    if len(record) != _SIZE_BYTES or checksum != _SUM.pack(crc32(fields)) or not fields.startswith(_MAGIC):
        raise damaged(journal, f"{path_of(journal).name}, which says how far it had got, cannot be read")
    _, boot, committed, durable = _FIELDS.unpack(fields)
    return Tip(boot=boot, committed=committed, durable=durable)


def _missing(journal: Path) -> JournalError:
    return damaged(journal, f"{path_of(journal).name}, which says how far it had got, is missing")
