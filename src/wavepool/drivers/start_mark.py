"""A mark in an attempt's slot that a start of it was about to be asked for. It outlives what was started.

The derived name alone keeps an attempt from running twice only while the thing of that name exists. One that somebody
removed while no orchestrator watched leaves no trace but this: with the mark and without the thing, it may have run.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from wavepool.drivers.base import AttemptSpec
from wavepool.errors import MayHaveRun

FILE = "start-mark"


def is_marked(slot: Path) -> bool:
    """True if a start out of this slot was, or may have been, asked for."""
    return (slot / FILE).exists()


def make_mark(slot: Path) -> bool:
    """Leave the mark, on the disk before this returns; call it directly before the start. False where it was there.

    Blocks for some milliseconds.

    Raises:
        OSError: the slot cannot be written: then nothing may be started.
    """
    try:
        descriptor = os.open(slot / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    try:
        os.write(descriptor, f"{time.time():.6f}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    directory = os.open(slot, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return True


def unmake_mark(slot: Path) -> None:
    """Take the mark away, where it has proven that nothing was started; none there is fine. Raises OSError."""
    (slot / FILE).unlink(missing_ok=True)


def marked_at(slot: Path) -> float | None:
    """When, in seconds since the epoch; None where there is no mark, or one that was never finished."""
    with contextlib.suppress(OSError, ValueError):
        return float((slot / FILE).read_text("ascii"))
    return None


def vanished(spec: AttemptSpec) -> MayHaveRun:
    """What to raise where the mark is there and the thing is not."""
    return MayHaveRun(
        f"{spec.name}: a start of it was asked for, and nothing of it is left: it may have run, and somebody removed it"
    )
