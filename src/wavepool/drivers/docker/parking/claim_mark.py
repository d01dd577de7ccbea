"""The start mark of a parked container: made by its shell directly before that becomes the task.

Without one nothing ever ran in it. It lies in a directory of the slot that the container may write to, so a task may
take it away again, or change its times. Nobody can do that without a trace: the kernel sets a directory's change time
(ctime) whenever an entry is made or taken away, and lets nobody set it. So the directory's ctime before the start is
written down where no container reaches, and any other one counts as a mark. Where that evidence is not there, a mark
that is not there proves nothing (`is_laid_out`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path

from wavepool.drivers.docker.parking.script import MARK_FILE
from wavepool.drivers.docker.starting.delivery import give
from wavepool.errors import MayHaveRun

DIRECTORY = "mark"
"""In the slot; the container sees it at `script.SLOT_TARGET`."""
UNTOUCHED = "mark-untouched"
"""In the slot: ctime of the directory before the start, in nanoseconds."""
SEEN = "claimed-at"
"""In the slot: our copy of the mark's time, seconds since the epoch."""


def lay_out(slot: Path, user: str) -> Path:
    """Make the directory for the mark, empty and writable for the container's user; returns it. Raises OSError.

    One that is there already is left as it is: an earlier container may yet leave its mark in it.
    """
    directory = slot / DIRECTORY
    if is_laid_out(slot):
        return directory
    directory.mkdir(exist_ok=True)
    give(directory, user, private=0o700, public=0o777)
    _write(slot / UNTOUCHED, str(directory.stat().st_ctime_ns))
    return directory


def is_laid_out(slot: Path) -> bool:
    """Whether the evidence is there without which nobody can say that a container out of this slot never ran."""
    with contextlib.suppress(OSError, ValueError):
        int((slot / UNTOUCHED).read_text("ascii"))
        return stat.S_ISDIR(os.lstat(slot / DIRECTORY).st_mode)
    return False


def unproven(name: str) -> MayHaveRun:
    """What to raise of a parked container whose evidence is gone."""
    return MayHaveRun(f"{name} was parked, and what would show that it never ran is gone: it may have run")


def claimed_at(slot: Path) -> datetime | None:
    """When the task of this slot's container began; None where nothing shows that it did (see `is_laid_out`).

    Cheap: a few looks at the file system.
    """
    with contextlib.suppress(OSError, ValueError):
        return _instant(float((slot / SEEN).read_text("ascii")))
    with contextlib.suppress(OSError):
        return _instant(os.lstat(slot / DIRECTORY / MARK_FILE).st_mtime)
    with contextlib.suppress(OSError, ValueError):
        changed = os.lstat(slot / DIRECTORY).st_ctime_ns
        if changed != int((slot / UNTOUCHED).read_text("ascii")):
            return _instant(changed / 1e9)
    return None


def keep(slot: Path, at: datetime) -> None:
    """Copy what was seen of the mark. Raises OSError."""
    _write(slot / SEEN, f"{at.timestamp():.6f}")


def clear(slot: Path) -> None:
    """Take away what parking left in the slot of one that was never claimed, and is gone. Raises OSError."""
    (slot / UNTOUCHED).unlink(missing_ok=True)
    shutil.rmtree(slot / DIRECTORY, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(f"{text}\n", "ascii")
    draft.replace(path)


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
