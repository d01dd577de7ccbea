"""What went wrong with a journal, and what to do about it, in words for a person."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from wavepool.errors import JournalError

_ASIDE = (
    "Nothing was overwritten. Copy {path} and {name}-* beside it aside, then start again with a new --run-id; "
    "`wavepool recover` removes what this run left running."
)
_ROOM = "Nothing was overwritten: what the journal held before stands. Free some space, or choose another --state-dir."
_RIGHTS = "Nothing was overwritten. See that you own the state directory and may write to it, or choose --state-dir."

_WAIT = "Wait for that process to end, or choose another --run-id."

_CAUSES = {
    "SQLITE_FULL": ("the disk is full", _ROOM),
    "SQLITE_IOERR": ("the disk reported an I/O error", _ROOM + " Look for the cause in the kernel's log (dmesg)."),
    "SQLITE_READONLY": ("it may not be written to", _RIGHTS),
    "SQLITE_CANTOPEN": ("it cannot be opened", _RIGHTS),
    "SQLITE_PERM": ("it may not be opened", _RIGHTS),
    "SQLITE_BUSY": ("another process holds it", _WAIT),
    "SQLITE_CONSTRAINT": (
        "another process has written to it",
        "Its facts stand, ours were not added. Go on with the run by the same command and --run-id, in one process.",
    ),
    "SQLITE_CORRUPT": ("it is damaged", _ASIDE),
    "SQLITE_NOTADB": ("it is damaged: this is no SQLite database", _ASIDE),
}


def explain(path: Path, error: BaseException, *, doing: str) -> JournalError:
    """A JournalError that says what `error` means. `doing` is ``write``, ``read``, ``create`` or ``open``."""
    if isinstance(error, JournalError):
        return error
    name = getattr(error, "sqlite_errorname", None) or ""
    for start, (what, advice) in _CAUSES.items():
        if name.startswith(start):
            return _told(path, f"cannot {doing} the journal: {what} ({error})", advice)
    if isinstance(error, OSError):
        return _told(path, f"cannot {doing} the journal: {error.strerror or error}", _RIGHTS)
    if isinstance(error, sqlite3.Error):
        return damaged(path, str(error))
    return _told(path, f"cannot {doing} the journal: {type(error).__name__}: {error}", _ASIDE)


def damaged(path: Path, what: str) -> JournalError:
    """The journal's content is not what was written."""
    return _told(path, f"the journal is damaged: {what}", _ASIDE)


def held(path: Path) -> JournalError:
    """Somebody else goes on with this journal. The run's lock, which is taken first, tells that better."""
    return _told(path, "another process has the journal open", _WAIT)


def _told(path: Path, message: str, advice: str) -> JournalError:
    return JournalError(str(path), message, advice=advice.format(path=path, name=path.name))
