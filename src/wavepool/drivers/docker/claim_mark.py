"""The start mark of a parked container: made by its shell directly before that becomes the task.

Without one nothing ever ran in it. It lies in a directory of the slot that the container may write to, so that a task
could take it away again: what is seen of it is copied to where no container reaches, as soon as it is seen.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from wavepool.drivers.docker.delivery import give
from wavepool.drivers.docker.script import MARK_FILE

DIRECTORY = "mark"
"""In the slot; the container sees it at `script.SLOT_TARGET`."""
SEEN = "claimed-at"
"""In the slot: our copy, seconds since the epoch."""


def lay_out(slot: Path, user: str) -> Path:
    """Make the directory for the mark, empty and writable for the container's user; returns it. Raises OSError."""
    directory = slot / DIRECTORY
    directory.mkdir(exist_ok=True)
    give(directory, user, private=0o700, public=0o777)
    return directory


def claimed_at(slot: Path) -> datetime | None:
    """When the task of this slot's container began; None where it never did. Cheap: two looks at the file system."""
    with contextlib.suppress(OSError, ValueError):
        return _instant(float((slot / SEEN).read_text("ascii")))
    try:
        return _instant(os.lstat(slot / DIRECTORY / MARK_FILE).st_mtime)
    except OSError:
        return None


def keep(slot: Path, at: datetime) -> None:
    """Copy what was seen of the mark. Raises OSError."""
    draft = slot / f".{SEEN}"
    draft.write_text(f"{at.timestamp():.6f}\n", "ascii")
    draft.replace(slot / SEEN)


def clear(slot: Path) -> None:
    """Take away what parking left in the slot of one that was never claimed, before it is started cold."""
    shutil.rmtree(slot / DIRECTORY, ignore_errors=True)


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
