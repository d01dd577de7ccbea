"""The output of a task's attempts, byte for byte: from the archive, or from the driver while it is not there yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path

import anyio
from anyio import to_thread

from wavepool.drivers.base import Driver
from wavepool.engine.history.chronicle import AttemptStory, Chronicle, TaskStory
from wavepool.engine.history.runs import RunHistory
from wavepool.errors import DriverUnavailable, InfrastructureError, InputError, NoSuchAttempt
from wavepool.model import AttemptPhase, LogRecord

POLL_S = 0.2
"""Between two looks at a journal that is waited for; one look is one read of 44 bytes, and one at the run's lock."""

TRIES = 5
"""Readings of a running attempt's output that may be cut off, one after the other, before that is an error."""

READ_BYTES = 1 << 20

Opener = Callable[[str], AbstractAsyncContextManager[Driver]]
"""Opens the driver of a name."""


class LiveChronicle:
    """A run's chronicle that follows its journal."""

    def __init__(self, history: RunHistory) -> None:
        self.history = history
        self._chronicle = Chronicle()
        self._next = 1

    async def task(self, text: str) -> TaskStory:
        """The task as it is now; see `Chronicle.task`. Raises UnknownTask, JournalError."""
        await to_thread.run_sync(self._catch_up)
        return self._chronicle.task(text)

    @property
    def driver(self) -> str:
        """Name of the run's driver, once a fact was read."""
        return "" if self._chronicle.opened is None else self._chronicle.opened.driver

    def _catch_up(self) -> None:
        if self._next > 1 and self.history.committed() < self._next:
            return
        for stamped in self.history.facts(self._next):
            self._chronicle.take(stamped)
            self._next += 1


class OutputTeller:
    """Writes the output of one task to wherever `write` leads.

    Args:
        run: the run.
        text: the task, as `Chronicle.task` finds it.
        open_driver: opens the run's driver where the archive does not do.
        write: takes bytes; may block.
        notice: takes sentences for a person.
        since: nothing that was written before it, as far as that is known: an archive keeps no times.
    """

    def __init__(
        self,
        run: LiveChronicle,
        text: str,
        *,
        open_driver: Opener,
        write: Callable[[bytes], None],
        notice: Callable[[str], None],
        since: datetime | None = None,
    ) -> None:
        self._run = run
        self._text = text
        self._open_driver = open_driver
        self._write = write
        self._notice = notice
        self._since = since

    async def tell(self, number: int | None) -> None:
        """The output so far of this attempt, or of the newest one.

        Raises:
            InputError: no such task or attempt, or it has not started.
            InfrastructureError: the journal, the archive or the driver cannot be read.
        """
        story = await self._run.task(self._text)
        if number is None and story.last is None:
            raise _not_started(story)
        await self._tell(story.attempt(number).id.number, follow=False)

    async def follow(self, number: int | None) -> None:
        """The output of this attempt to its end, or of all attempts from the newest one on. Waits for what is to come.

        Raises:
            As `tell`; InputError too where nobody works on the run, so that what is waited for will not come.
        """
        current = await self._awaited(number or 0, exactly=number is not None)
        while current is not None:
            await self._tell(current, follow=True)
            current = await self._awaited(current + 1, exactly=False) if number is None else None
            if current is not None:
                self._notice(f"attempt {current}:")

    async def _awaited(self, number: int, *, exactly: bool) -> int | None:
        """Wait for attempt `number`; 0 is the newest. None where there will be none, unless asked for `exactly` it."""
        while True:
            live = await to_thread.run_sync(self._run.history.is_live)
            story = await self._run.task(self._text)
            if len(story.attempts) >= max(1, number):
                return number or len(story.attempts)
            if story.final:
                if exactly or not story.attempts:
                    story.attempt(number or None)
                return None
            if not live:
                if story.attempts and not exactly:
                    return None
                raise _not_started(story)
            await anyio.sleep(POLL_S)

    async def _tell(self, number: int, *, follow: bool) -> None:
        given: Counter[str] = Counter()
        tries = 0
        while True:
            live = await to_thread.run_sync(self._run.history.is_live)
            attempt = (await self._run.task(self._text)).attempt(number)
            if attempt.log is not None:
                return await self._tell_archive(attempt, attempt.log, skip=given.total())
            try:
                if attempt.handle is not None and await self._tell_driver(attempt, given, follow=follow):
                    return None
            except (DriverUnavailable, NoSuchAttempt) as error:
                # Cut off, or removed because it was archived a moment ago: the journal will tell which.
                waits = follow and live and isinstance(error, NoSuchAttempt)  # a pool may not have begun it yet
                tries = 0 if waits else tries + 1
                if tries >= TRIES or not (live or isinstance(error, DriverUnavailable)):
                    raise
            if attempt.handle is None and not follow:
                raise InputError(f"attempt {number} is only just being started", advice="--follow waits for it.")
            if attempt.handle is None and not live:
                raise InputError(f"whether attempt {number} started is not known", advice=_resume(self._run.history))
            await anyio.sleep(POLL_S)

    async def _tell_driver(self, attempt: AttemptStory, given: Counter[str], *, follow: bool) -> bool:
        """Read it from the driver; False where it has ended and its archive will have the rest."""
        assert attempt.handle is not None
        skip = Counter(given)
        async with (
            self._open_driver(self._run.driver) as driver,
            driver.logs(attempt.handle, self._since, follow=follow) as chunks,
        ):
            async for chunk in chunks:
                if chunk.gap:
                    self._notice(chunk.gap_reason or "output before this is missing")
                skipped = min(skip[chunk.stream], len(chunk.data))
                skip[chunk.stream] -= skipped
                given[chunk.stream] += len(chunk.data) - skipped
                self._write(chunk.data[skipped:])
        return True

    async def _tell_archive(self, attempt: AttemptStory, log: LogRecord, *, skip: int) -> None:
        if log.problem is not None:
            self._notice(log.problem)
        if log.path is None:
            if attempt.phase in (AttemptPhase.SETTLED, AttemptPhase.REMOVED) and log.problem is None:
                self._notice(f"attempt {attempt.id.number} has no output: it did not start")
            return
        if not skip and self._is_before(attempt):
            return
        path = self._run.history.files.path / log.path
        async for data in _read(path, skip):
            self._write(data)

    def _is_before(self, attempt: AttemptStory) -> bool:
        """True where all of the archived output was written before what was asked for."""
        if self._since is None:
            return False
        if attempt.finished_at is not None and attempt.finished_at < self._since:
            self._notice(f"attempt {attempt.id.number} had ended before that")
            return True
        if attempt.started_at is None or attempt.started_at < self._since:
            self._notice("an archived log keeps no times: all of it is shown")
        return False


async def _read(path: Path, skip: int) -> AsyncIterator[bytes]:
    def pieces() -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(skip)
            while data := file.read(READ_BYTES):
                yield data

    reading = pieces()
    try:
        while data := await to_thread.run_sync(next, reading, b""):
            yield data
    except OSError as error:
        raise InfrastructureError(
            f"cannot read {path}: {error.strerror or error}", advice="It may have been removed by hand."
        ) from error


def _not_started(story: TaskStory) -> InputError:
    if story.skipped is not None:
        return InputError(f"task {story.task.id} has no output: it was skipped", advice=story.skipped)
    return InputError(
        f"task {story.task.id} has not started yet", advice="While its run is live, --follow waits for it."
    )


def _resume(history: RunHistory) -> str:
    return f"`wavepool resume {history.id}` finds out."
