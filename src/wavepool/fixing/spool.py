"""What one stream of a check has written so far, on the disk: a tool that writes fast need not wait for its reader."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from wavepool.errors import InfrastructureError

PIECE_BYTES = 256 * 1024
"""What is read at once. Reading one takes a fraction of a second, whatever stands in it."""


class Spool:
    """One writes at its end, another reads behind it. Its file has no name: a crash leaves none.

    Args:
        descriptor: of a file; closed by its owner.
        size_bytes: how much there is in it already.
    """

    def __init__(self, descriptor: int, size_bytes: int = 0) -> None:
        self._descriptor = descriptor
        self._read_bytes = 0
        self.size_bytes = size_bytes

    @property
    def unread_bytes(self) -> int:
        """How much was written and not read yet."""
        return self.size_bytes - self._read_bytes

    def append(self, data: bytes) -> None:
        """Write more. Raises InfrastructureError: the disk is full, or broken."""
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._descriptor, view, self.size_bytes)
                self.size_bytes += written
                view = view[written:]
        except OSError as error:
            raise InfrastructureError(
                f"the output of the check cannot be kept: {error.strerror or error}",
                advice=f"It is kept in {tempfile.gettempdir()} while it is read; TMPDIR names another place.",
            ) from error

    def read(self) -> bytes:
        """The next piece that was not read yet; empty where there is none now."""
        piece = os.pread(self._descriptor, min(PIECE_BYTES, self.unread_bytes), self._read_bytes)
        self._read_bytes += len(piece)
        return piece

    def pieces(self) -> Iterator[bytes]:
        """All that there is, from the beginning, wherever the reading is."""
        place = 0
        while piece := os.pread(self._descriptor, min(PIECE_BYTES, self.size_bytes - place), place):
            place += len(piece)
            yield piece

    def end(self, size_bytes: int) -> bytes:
        """The last so many bytes, wherever the reading is."""
        first = max(0, self.size_bytes - size_bytes)
        return os.pread(self._descriptor, self.size_bytes - first, first)


@contextmanager
def open_spool() -> Iterator[Spool]:
    """An empty one, which is gone at the end. Raises InfrastructureError: there is no room for one."""
    try:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  closed below
    except OSError as error:
        raise InfrastructureError(
            f"the output of the check cannot be kept: {error.strerror or error}", advice="TMPDIR names another place."
        ) from error
    with file:
        yield Spool(file.fileno())
