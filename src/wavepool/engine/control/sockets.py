"""Unix sockets by their path: one that listens, and one that is connected to it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from wavepool.engine.control.protocol import LineSocket, open_directory, short_path
from wavepool.errors import InfrastructureError


@contextmanager
def listening_on(path: Path, *, backlog: int) -> Iterator[socket.socket]:
    """A socket of mode 0600 from its first moment; what a dead process left in its place is replaced.

    Raises:
        OSError: it cannot be made.
    """
    directory = open_directory(path.parent)
    try:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with listening:
            path.unlink(missing_ok=True)
            os.fchmod(listening.fileno(), 0o600)  # before it has a name: on Linux it is made with this mode
            listening.bind(short_path(directory, path.name))
            path.chmod(0o600)
            listening.listen(backlog)
            listening.setblocking(False)
            try:
                yield listening
            finally:
                path.unlink(missing_ok=True)
    finally:
        os.close(directory)


async def accepted(listening: socket.socket) -> LineSocket:
    """The next one that calls; whoever gets it closes it."""
    while True:
        await anyio.wait_readable(listening)
        try:
            connected, _ = listening.accept()
        except OSError:  # who called has gone again, or there is no descriptor for it
            await anyio.sleep(0.01)
            continue
        return LineSocket(connected)


def connected_to(path: Path) -> LineSocket | None:
    """None where nobody listens (any more), or so many call that another one must wait.

    Raises:
        InfrastructureError: we may not connect.
    """
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    found.setblocking(False)  # with as many waiting as it takes, a connect would wait too
    try:
        directory = open_directory(path.parent)
        try:
            found.connect(short_path(directory, path.name))
        finally:
            os.close(directory)
    except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
        found.close()
        return None
    except OSError as error:
        found.close()
        raise InfrastructureError(
            f"cannot connect to {path}: {error.strerror}", advice="Only who runs it, and root, may."
        ) from error
    return LineSocket(found)
