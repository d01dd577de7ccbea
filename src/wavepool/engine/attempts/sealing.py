"""Runs programs where a task ran, sealed off: what reads a workspace in which an agent may have written settings.

Each runs as an attempt of its own, through the driver contract: in a container of the task's image, without any
network, with the task's limits and our labels; it is removed at once, by whoever takes the run up after a crash, and
with the rest of the run at the latest.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import structlog

from wavepool.drivers.base import Driver, Observation
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.errors import DriverUnavailable, InfrastructureError, NotStarted, Unknown
from wavepool.model import AttemptId, Ending, Handle, Task, VerdictKind
from wavepool.statedir import RunDir
from wavepool.workspace.base import Place
from wavepool.workspace.removal import delete

NUMBERS_FROM = 1_000_000
"""Attempt n of a task is brought back by number 1000000 + n: no task has so many attempts, and names stay apart."""

PAUSES_S = (0.5, 2.0)
"""Before each further try of one that was lost with its container or its daemon: it only reads what is there."""

REMOVAL_S = 60.0
"""The deadline of a removal. What resists goes with the rest of the run."""

LAST_WORDS_BYTES = 2000
"""Of the output of a program that failed, for our own log."""

_log = structlog.get_logger(__name__)


def sealed_attempt(attempt: AttemptId) -> AttemptId:
    """What runs for `attempt` after its end, under its task's id."""
    return AttemptId(attempt.task_id, NUMBERS_FROM + attempt.number)


class SealedRuns:
    """A `Sealed` that goes through the driver. For one attempt it must be called once at a time.

    Args:
        driver: open; closed by its owner.
        specs: builds what is asked of it.
        files: the run's directory.
        pause: waits so many seconds, and then until the driver can be reached (bounded).
    """

    def __init__(
        self, *, driver: Driver, specs: SpecBuilder, files: RunDir, pause: Callable[[float], Awaitable[None]]
    ) -> None:
        self._driver = driver
        self._specs = specs
        self._files = files
        self._pause = pause
        self._awaited: dict[AttemptId, _Awaited] = {}

    def saw(self, seen: Observation) -> None:
        """The watch of the run told this; most of it is about others."""
        awaited = self._awaited.get(seen.handle.attempt)
        if awaited is not None and seen.ending is not None:
            awaited.saw(seen.handle.id, seen.ending)

    async def __call__(
        self, task: Task, attempt: AttemptId, argv: Sequence[str], *, place: Place, output: Path, timeout_s: float
    ) -> int:
        for pause_s in PAUSES_S:
            try:
                return await self._run(task, attempt, argv, place, output, timeout_s)
            except (_Lost, Unknown, DriverUnavailable, NotStarted) as error:
                if isinstance(error, NotStarted) and not error.transient:
                    raise
                _log.warning("a sealed program is run again", attempt=str(attempt), problem=error.message)
            await self._pause(pause_s)
            await anyio.to_thread.run_sync(_empty, output)
        return await self._run(task, attempt, argv, place, output, timeout_s)

    async def _run(
        self, task: Task, attempt: AttemptId, argv: Sequence[str], place: Place, output: Path, timeout_s: float
    ) -> int:
        inner = sealed_attempt(attempt)
        handle = self._specs.handle(self._driver.name, task, inner)
        await self._remove(task, inner, handle)  # of a process that died over it
        awaited = self._awaited[inner] = _Awaited()
        try:
            with anyio.fail_after(timeout_s):
                handle = await self._start(task, inner, argv, place, output)
                ending = await awaited.ending_of(handle)
            return await self._exit_code(handle, argv, ending)
        except TimeoutError:
            raise InfrastructureError(f"{argv[0]} did not end within {timeout_s:.0f} s in {handle.name}") from None
        finally:
            del self._awaited[inner]
            with anyio.CancelScope(shield=True):
                await self._remove(task, inner, handle)

    async def _start(self, task: Task, inner: AttemptId, argv: Sequence[str], place: Place, output: Path) -> Handle:
        slot = self._files.slot(task.key, inner.number)
        spec = self._specs.build_sealed(task, inner, slot, argv=tuple(argv), place=place, output=output)
        await anyio.to_thread.run_sync(_give, output, spec.user, place.directory)
        return await self._driver.start(spec)

    async def _exit_code(self, handle: Handle, argv: Sequence[str], ending: Ending) -> int:
        code = ending.evidence.exit_code
        if code is None or ending.kind is VerdictKind.LOST or ending.evidence.signal_sender == "wavepool":
            raise _Lost(f"{argv[0]} was lost in {handle.name}: {ending.evidence.reason}")
        if code:
            _log.debug("a sealed program failed", name=handle.name, code=code, said=await self._last_words(handle))
        return code

    async def _last_words(self, handle: Handle) -> str:
        said = b""
        try:
            async with self._driver.logs(handle, follow=False) as chunks:
                async for chunk in chunks:
                    said = (said + chunk.data)[-LAST_WORDS_BYTES:]
        except InfrastructureError as error:
            return str(error)
        return said.decode("utf-8", "replace")

    async def _remove(self, task: Task, inner: AttemptId, handle: Handle) -> None:
        problem = f"it took longer than {REMOVAL_S:.0f} s"
        with anyio.move_on_after(REMOVAL_S):
            try:
                removed = await self._driver.remove(handle)
                problem = "; ".join(removed.errors)
            except InfrastructureError as error:
                problem = str(error)
        if problem:
            _log.warning("a sealed program is left for the end of the run", name=handle.name, problem=problem)
        else:
            self._files.drop_slot(task.key, inner.number)


class _Lost(InfrastructureError):
    """It ended by what befell its container: how far it came is not known."""


class _Awaited:
    """A program that is being started, or runs; and the ends that were told under its name.

    What a process that died had started may be told only now, as it is removed: it has another id, and says nothing
    of this one.
    """

    def __init__(self) -> None:
        self._endings: dict[str, Ending] = {}
        self._told = anyio.Event()

    def saw(self, container_id: str, ending: Ending) -> None:
        """One of that name has ended."""
        self._endings.setdefault(container_id, ending)
        self._told.set()

    async def ending_of(self, handle: Handle) -> Ending:
        """How that one ended, once it has."""
        while handle.id not in self._endings:
            self._told = anyio.Event()
            await self._told.wait()
        return self._endings[handle.id]


def _empty(output: Path) -> None:
    """Forget the half of the results."""
    for path in output.iterdir():
        if path.is_dir() and not path.is_symlink():
            delete(path)
        else:
            path.unlink()


def _give(output: Path, user: str | None, directory: Path) -> None:
    """Whoever it runs as may write into `output`. Where we are not root we own it, and run as who we are."""
    if os.geteuid() != 0:
        return
    status = directory.stat()
    uid, _, gid = (user or f"{status.st_uid}:{status.st_gid}").partition(":")
    if uid.isdigit():
        os.chown(output, int(uid), int(gid) if gid.isdigit() else int(uid))
