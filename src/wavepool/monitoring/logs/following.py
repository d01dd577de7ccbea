"""One viewer who follows a task: from attempt to attempt, and in each from its live output into its archive."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from wavepool.engine.history.chronicle import AttemptStory, TaskStory
from wavepool.errors import InputError, WavepoolError
from wavepool.monitoring.logs.archive import read_part, size_of_log
from wavepool.monitoring.logs.live import Gap, LiveLog
from wavepool.monitoring.logs.pieces import Viewer
from wavepool.monitoring.logs.tap import PAUSE_S, TAIL_BYTES, Rest, Tap
from wavepool.monitoring.runs.stories import RunStory

GIVEN_BYTES = 256 * 1024
"""Of an archive, at a time."""


class Sources(Protocol):
    """Where live output comes from: the hub."""

    def live(self, story: RunStory, attempt: AttemptStory) -> AbstractAsyncContextManager[LiveLog]:
        """The one that all share."""

    def own_tap(self, story: RunStory, attempt: AttemptStory) -> AbstractAsyncContextManager[Tap]:
        """One for this viewer alone."""


class Follower:
    """See `Logs.follow`."""

    def __init__(
        self, sources: Sources, story: RunStory, task: TaskStory, viewer: Viewer, *, threads: anyio.CapacityLimiter
    ) -> None:
        self._sources = sources
        self._story = story
        self._task = task
        self._viewer = viewer
        self._threads = threads

    async def follow(self, number: int | None, begin_at: int | None) -> None:
        """To the end of this attempt, or of the task. Raises InputError where there is no such attempt."""
        if number is not None and (number < 1 or (self._task.final and number > len(self._task.attempts))):
            self._task.attempt(number)  # which says that there is none
        try:
            why = await self._follow(number, begin_at)
        except WavepoolError as error:
            why = error.message
        await self._viewer.end(self._state(number), why)

    async def _follow(self, number: int | None, begin_at: int | None) -> str:
        """Why nothing more comes; empty where that is the usual end."""
        current = number or max(1, len(self._task.attempts))
        first = self._task.last
        while True:
            attempt = await self._awaited(current)
            if attempt is None:
                return self._why_none()
            why = await self._tell(attempt, begin_at, fresh=attempt is not first)
            if why or number is not None:
                return why
            current, begin_at = current + 1, 0
            if self._task.final and current > len(self._task.attempts):
                return ""

    async def _awaited(self, number: int) -> AttemptStory | None:
        """The attempt, as soon as it is known whether it started; None where it will not come."""
        while True:
            if len(self._task.attempts) >= number:
                attempt = self._task.attempts[number - 1]
                if attempt.handle is not None or attempt.log is not None or not self._story.live:
                    return attempt
            elif self._task.final or not self._story.live:
                return None
            await self._look_again()

    async def _look_again(self) -> None:
        await anyio.sleep(PAUSE_S)
        await self._story.refresh()

    async def _tell(self, attempt: AttemptStory, begin_at: int | None, *, fresh: bool) -> str:
        """All of one attempt, from its very start where it is `fresh`: we have waited for it.

        Returns:
            Why no other is waited for; empty where one may be.
        """
        rest: Rest | None
        if attempt.log is not None:
            rest = await self._begin_in_archive(attempt, begin_at)
        elif attempt.handle is not None:
            rest = await self._tell_live(attempt, 0 if fresh else begin_at, fresh=fresh)
        else:
            return f"whether it started is not known: `wavepool resume {self._story.history.id}` finds out"
        if rest is not None:
            await self._tell_file(rest.path, rest.offset)
        await self._until_settled(attempt)
        return ""

    async def _until_settled(self, attempt: AttemptStory) -> None:
        """Wait for its verdict, and for what follows from that: its output has ended a moment before."""
        while attempt.verdict is None and self._story.live:
            await self._look_again()
        while not self._task.final and self._task.last is attempt and attempt.because is None and self._story.live:
            await self._look_again()

    async def _begin_in_archive(self, attempt: AttemptStory, begin_at: int | None) -> Rest | None:
        log = attempt.log
        assert log is not None
        if log.path is None:
            await self._viewer.attempt(attempt.id.number, 0)
            await self._viewer.gap(log.problem or "it has no output: it did not start")
            return None
        path = self._story.history.files.path / log.path
        size = await anyio.to_thread.run_sync(size_of_log, path, limiter=self._threads)
        offset = _beginning(begin_at, size)
        await self._viewer.attempt(attempt.id.number, offset)
        if log.problem is not None:
            await self._viewer.gap(log.problem)
        return Rest(path=path, offset=offset)

    async def _tell_file(self, path: Path, offset: int) -> None:
        while True:
            read = partial(read_part, path, offset, GIVEN_BYTES)
            _, data, _ = await anyio.to_thread.run_sync(read, limiter=self._threads)
            if not data:
                return
            offset += len(data)
            await self._viewer.data(data)

    async def _tell_live(self, attempt: AttemptStory, begin_at: int | None, *, fresh: bool) -> Rest | None:
        async with self._sources.live(self._story, attempt) as log:
            if fresh:
                return await self._tell_seat(attempt, log, 0)
            await log.settled.wait()
            if log.over and log.rest is not None and log.end == 0:  # nothing of it could be read before
                return await self._begin_in_archive(attempt, begin_at)
            if begin_at is None or begin_at < 0 or begin_at >= log.start:
                return await self._tell_seat(attempt, log, begin_at)
        async with self._sources.own_tap(self._story, attempt) as tap:
            await self._viewer.attempt(attempt.id.number, begin_at)
            rest = await tap.pour(_From(self._viewer, begin_at))
            return None if rest is None else Rest(path=rest.path, offset=max(begin_at, rest.offset))

    async def _tell_seat(self, attempt: AttemptStory, log: LiveLog, begin_at: int | None) -> Rest | None:
        seat = log.take_seat(begin_at)
        try:
            await self._viewer.attempt(attempt.id.number, seat.at)
            while True:
                taken = seat.take()
                if taken is None and log.over:
                    break
                if taken is None:
                    await log.changed()
                elif isinstance(taken, Gap):
                    await self._viewer.gap(taken.why)
                else:
                    await self._viewer.data(taken)
        finally:
            seat.leave()
        if log.problem:
            raise InputError(log.problem)
        return log.rest

    def _state(self, number: int | None) -> str:
        if number is None or number > len(self._task.attempts):
            return self._task.state
        return self._task.attempts[number - 1].state

    def _why_none(self) -> str:
        if self._task.skipped is not None:
            return self._task.skipped
        if self._task.final:
            return ""
        return f"nobody works on the run: `wavepool resume {self._story.history.id}` goes on with it"


class _From:
    """Leaves out what is before a position."""

    def __init__(self, viewer: Viewer, offset: int) -> None:
        self._viewer = viewer
        self._left = offset

    async def data(self, piece: bytes) -> None:
        skipped = min(self._left, len(piece))
        self._left -= skipped
        for start in range(skipped, len(piece), GIVEN_BYTES):
            await self._viewer.data(piece[start : start + GIVEN_BYTES])

    async def gap(self, why: str) -> None:
        await self._viewer.gap(why)


def _beginning(begin_at: int | None, size: int) -> int:
    if begin_at is None:
        return max(0, size - TAIL_BYTES)
    return max(0, size + begin_at) if begin_at < 0 else min(begin_at, size)
