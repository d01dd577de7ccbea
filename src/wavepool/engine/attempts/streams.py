"""Which parts of an archived output came from stdout and which from stderr: an index beside the log.

The log itself has both in their order. Where both are in it ``<log>.streams`` says how many bytes of which follow one
another: ``out 120\nerr 14\nout 9\n``. Without it all of the log is stdout.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

RUNS_MAX = 200_000
"""Changes from one stream to the other that are noted; what comes after so many counts as stdout."""


class Streams(NamedTuple):
    """An output's bytes by stream, and all of them in their order."""

    stdout: bytes
    stderr: bytes
    together: bytes


class StreamRuns:
    """Notes which stream pieces came from, as they are written."""

    def __init__(self) -> None:
        self._runs: list[tuple[bool, int]] = []
        self._mixed = False

    def note(self, stream: str, size_bytes: int) -> None:
        """So many bytes of ``stdout`` or ``stderr`` were written."""
        is_error = stream == "stderr"
        if not size_bytes:
            return
        self._mixed = self._mixed or is_error
        if self._runs and (self._runs[-1][0] == is_error or len(self._runs) >= RUNS_MAX):
            last, size = self._runs[-1]
            self._runs[-1] = (last, size + size_bytes)
        else:
            self._runs.append((is_error, size_bytes))

    def save(self, log: Path) -> None:
        """Write the index of that log, where it needs one; else see that there is none of an earlier try.

        Raises:
            OSError: it cannot be written.
        """
        path = _index(log)
        if not self._mixed:
            path.unlink(missing_ok=True)
            return
        text = "".join(f"{'err' if is_error else 'out'} {size}\n" for is_error, size in self._runs)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)


def read_streams(log: Path | None) -> Streams:
    """The output of an archived log; empty where there is none, or it cannot be read. An odd index is not heeded."""
    if log is None:
        return Streams(b"", b"", b"")
    try:
        together = log.read_bytes()
    except OSError:
        return Streams(b"", b"", b"")
    try:
        lines = _index(log).read_text().splitlines()
        runs = [(kind == "err", int(size)) for kind, size in (line.split() for line in lines)]
    except (OSError, ValueError):
        return Streams(together, b"", together)
    parts: tuple[list[bytes], list[bytes]] = ([], [])
    place = 0
    for is_error, size in runs:
        parts[is_error].append(together[place : place + size])
        place += size
    parts[False].append(together[place:])
    return Streams(b"".join(parts[0]), b"".join(parts[1]), together)


def stream_pieces(log: Path, piece_bytes: int) -> Iterator[tuple[str, bytes]]:
    """The output of an archived log in its order: (``stdout`` or ``stderr``, at most so many bytes), piece by piece.

    Raises:
        OSError: it cannot be read.
    """
    try:
        lines = _index(log).read_text().splitlines()
        runs = [("stderr" if kind == "err" else "stdout", int(size)) for kind, size in (line.split() for line in lines)]
    except (OSError, ValueError):
        runs = []
    with log.open("rb") as file:
        for stream, size_bytes in [*runs, ("stdout", sys.maxsize)]:
            while size_bytes and (data := file.read(min(piece_bytes, size_bytes))):
                size_bytes -= len(data)
                yield stream, data


def _index(log: Path) -> Path:
    return log.with_name(f"{log.name}.streams")
