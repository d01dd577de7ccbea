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
from wavepool.drivers.boot import boot_id
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
        os.write(descriptor, f"{time.time():.6f} {_boot()}\n".encode())
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


def is_of_this_boot(slot: Path) -> bool:
    """True if the mark was left since this host was started. False where nothing proves it: for one that was never
    finished, for those of older versions, which say when they were left and not in which boot, and where there is none.
    """
    with contextlib.suppress(OSError, ValueError):
        _, boot = (slot / FILE).read_text("ascii").split()
        return boot == _boot()
    return False


def _boot() -> str:
    """Empty where the system names no boots."""
    with contextlib.suppress(OSError):
        return boot_id()
    return ""


def vanished(spec: AttemptSpec) -> MayHaveRun:
    """What to raise where the mark is there and the thing is not."""
    return MayHaveRun(
        f"{spec.name}: a start of it was asked for, and nothing of it is left: it may have run, and somebody removed it"
    )
