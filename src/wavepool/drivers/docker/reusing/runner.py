"""The shell that runs the tasks, sealed from them: a copy of the image's own that may be executed and not read.

A process that executes a file which its user may not read is not dumpable (Linux, `would_dump` in fs/exec.c): others of
its user cannot trace it, nor reach its memory and descriptors in /proc. As process 1 of the container it cannot be
killed or stopped from inside either.
"""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
from pathlib import Path

from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.trouble import Refused
from wavepool.errors import CannotPark

RUNNER_TARGET = "/run/wavepool-runner"
SHELL = "/bin/sh"
_LINKS = 8
_SHELL_MAX_BYTES = 64 << 20


class Shells:
    """The shells of images, each fetched once."""

    def __init__(self, api: DockerApi) -> None:
        self._api = api
        self._known: dict[str, bytes] = {}

    async def of(self, image_id: str, container: str) -> bytes:
        """The program that is /bin/sh in a container of this image.

        Raises:
            CannotPark: it has none, or none that can be copied.
            DriverUnavailable: the engine cannot be reached.
        """
        if image_id not in self._known:
            self._known[image_id] = await self._fetch(container)
        return self._known[image_id]

    async def _fetch(self, container: str) -> bytes:
        path = SHELL
        for _ in range(_LINKS):
            try:
                archive = await self._archive(container, path)
            except Refused as refused:
                raise CannotPark(f"its image has no shell to reuse: {refused.words}") from refused
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                member = tar.next()
                if member is None:
                    break
                if not member.issym():
                    file = tar.extractfile(member)
                    return _program(file.read() if file is not None else b"")
                path = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
        raise CannotPark(f"its image has no shell to reuse: {SHELL} leads nowhere")

    async def _archive(self, container: str, path: str) -> bytes:
        pieces, size = [], 0
        async with self._api.stream("GET", f"containers/{container}/archive", {"path": path}) as stream:
            async for piece in stream:
                pieces.append(piece)
                size += len(piece)
                if size > _SHELL_MAX_BYTES:
                    raise CannotPark(f"its image has no shell to reuse: {path} is larger than any shell")
        return b"".join(pieces)


def make_place(slot: Path) -> Path:
    """The file in a slot that the runner will be put into, empty; it is mounted before it is known. Raises OSError."""
    directory = slot / "runner"
    directory.mkdir(mode=0o755, exist_ok=True)
    place = directory / "sh"
    place.unlink(missing_ok=True)
    os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return place


def put(place: Path, program: bytes) -> None:
    """Make the runner out of `program`: executable for all, readable for nobody. Raises OSError."""
    with open(os.open(place, os.O_WRONLY | os.O_CLOEXEC), "wb") as file:
        file.write(program)
        os.fchmod(file.fileno(), 0o111)


def _program(content: bytes) -> bytes:
    if not content.startswith(b"\x7fELF"):
        raise CannotPark(f"its image has no shell to reuse: {SHELL} is no program but a script, or empty")
    return content
