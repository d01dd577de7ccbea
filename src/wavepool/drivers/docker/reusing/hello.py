"""The first word of a reused container's shell; and where it does not come, what that means.

A container that was ended by accident proves nothing against its image. Only a shell that ended by itself, because it
could not do what it was told, says that it never will.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from typing import Any

import anyio

from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.attachment import Attachment
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.reusing import shell
from wavepool.drivers.docker.reusing.marks import Mark, MarkFinder
from wavepool.errors import CannotPark, DriverUnavailable, NotStarted, Unknown, WavepoolError

HELLO_S = 30.0
"""How long a shell may take to say hello after its container's start."""
END_S = 2.0
"""By then the engine knows of the end of a container whose output, process or cgroup is gone."""
LOOK_EVERY_S = 0.02
SIGNALLED = 128
"""Exit codes from here on are those of signals: somebody, or the kernel for want of memory, ended it."""


async def greet(api: DockerApi, spec: AttemptSpec, container_id: str, attachment: Attachment) -> None:
    """Wait for the shell to say hello on both streams.

    Raises:
        CannotPark: it ended, and said by its exit code that it cannot do what it was told.
        NotStarted: it was ended; another one may do better.
        Unknown: it does not answer, or the connection to it was cut.
        Refused, DriverUnavailable: the engine does not say what became of it.
    """
    said = bytearray()
    with anyio.move_on_after(HELLO_S), suppress(DriverUnavailable):
        if await _heard(attachment, said):
            return
    if attachment.is_open:
        raise Unknown(f"{spec.name}: its shell did not answer within {HELLO_S:.0f} s")
    raise silence(spec, await last_state(api, container_id), said.decode("utf-8", "replace").strip())


async def _heard(attachment: Attachment, said: bytearray) -> bool:
    """Whether it said hello; into `said` go the first words that are none of ours. Raises DriverUnavailable."""
    nonce = secrets.token_hex(16)
    finders = {stream: MarkFinder(nonce) for stream in ("stdout", "stderr")}
    greeted: set[str] = set()
    attachment.write(shell.greeting(nonce))
    async for frame in attachment:
        for each in finders[frame.stream].feed(frame.data):
            if isinstance(each, Mark):
                greeted.add(frame.stream)
            else:
                said[:] = (said + each)[:1024]
        if len(greeted) == len(finders):
            return True
    return False


async def last_state(api: DockerApi, container_id: str) -> dict[str, Any] | None:
    """Its state as soon as it has ended; after `END_S`, as it is then; None where it is gone. Raises as the API."""
    give_up = time.monotonic() + END_S
    while True:
        found = await inspect(api, container_id)
        if found is None:
            return None
        state: dict[str, Any] = found["State"]
        if not state["Running"] or time.monotonic() > give_up:
            return state
        await anyio.sleep(LOOK_EVERY_S)


def silence(spec: AttemptSpec, state: dict[str, Any] | None, words: str) -> WavepoolError:
    """What to raise where the output ended before the hello; `words` is what was said instead."""
    if state is None:
        return NotStarted(f"{spec.name} was removed at its start", transient=True)
    if state["Running"]:
        return Unknown(f"{spec.name}: the connection to its shell was cut at its start")
    code = int(state["ExitCode"])
    if 0 < code < SIGNALLED:
        return CannotPark(f"{spec.name}: its shell does not run: {words or f'it ended with {code} without a word'}")
    return NotStarted(f"{spec.name} ended at its start with {code}", transient=True)
