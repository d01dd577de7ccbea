"""Where those who look at output ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from wavepool.drivers.base import LogChunk
from wavepool.engine.control.pools.driver import PREFIX as POOL_PREFIX
from wavepool.engine.history.chronicle import AttemptStory
from wavepool.errors import InfrastructureError, InputError, NoSuchAttempt
from wavepool.model import Handle, LogRecord
from wavepool.monitoring.logs.archive import read_part, search_file
from wavepool.monitoring.logs.following import Follower
from wavepool.monitoring.logs.live import LiveLog
from wavepool.monitoring.logs.pieces import Found, Piece, Viewer
from wavepool.monitoring.logs.running import Window, read_window, search_running
from wavepool.monitoring.logs.scanning import TEXT_MAX_BYTES, Scanner
from wavepool.monitoring.logs.tap import PAUSE_S, TRIES, Opener, Tap
from wavepool.monitoring.runs.stories import RunStory, Stories

PART_MAX_BYTES = 4 << 20
"""Of one read."""

MATCHES_MAX = 1000
SEARCH_S = 2.0
"""How long one search looks; the answer says where to go on."""

RUNNING_READ_S = 60.0
"""How long the output of an attempt that runs may take to be read to the part that was asked for."""

THREADS, RUNNING_AT_ONCE = 4, 4
"""Reads of files, and of output that runs, at a time; others wait."""

OUTPUT_AT_ONCE = 8
"""Downloads of output that runs; others wait."""

OWN_TAPS = 16
"""Viewers who follow output that runs from a place that is not in memory any more."""

_Answer = TypeVar("_Answer")


class Whole(NamedTuple):
    """All output of an attempt: a file, or, where `path` is None, what `Logs.output` gives.

    `problem` says what is missing of it, in a sentence; empty for nothing, or as far as is known of what still runs.
    """

    path: Path | None
    number: int
    name: str
    problem: str = ""


class Logs:
    """Use it as an async context manager, on the loop that the drivers are of.

    Args:
        stories: of the runs.
        open_driver: gives the open driver of a name, and closes it later itself.
    """

    def __init__(self, stories: Stories, open_driver: Opener) -> None:
        self._stories = stories
        self._open_driver = open_driver
        self._live: dict[tuple[str, str, int], _Kept] = {}
        self._group: TaskGroup | None = None
        self._threads = anyio.CapacityLimiter(THREADS)
        self._running = anyio.CapacityLimiter(RUNNING_AT_ONCE)
        self._output = anyio.CapacityLimiter(OUTPUT_AT_ONCE)
        self._own_taps = anyio.CapacityLimiter(OWN_TAPS)

    async def __aenter__(self) -> Self:
        self._group = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._group is not None
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)  # what the block raised is its own, in no group

    async def read(self, run_id: str, key: str, number: int | None, *, offset: int = 0, limit: int) -> Piece:
        """A part of the output of this attempt, or of the newest.

        Args:
            offset: of the first byte; a negative one counts from the end.
            limit: at most so many bytes; no more than `PART_MAX_BYTES` are given.

        Raises:
            InputError: no such run, task or attempt.
            InfrastructureError: the journal, the archive or the driver cannot be read.
        """
        limit = max(0, min(limit, PART_MAX_BYTES))
        offset = max(offset, -PART_MAX_BYTES)

        async def archived(path: Path, attempt: AttemptStory, log: LogRecord) -> Piece:
            begin, data, size = await self._in_thread(partial(read_part, path, offset, limit))
            return _piece(attempt, begin, data, size, problem=log.problem or "")

        async def running(handle: Handle, attempt: AttemptStory, driver: str) -> Piece:
            window = Window(offset, limit)
            problem = await read_window(await self._open_driver(driver), handle, window)
            begin, data = window.part()
            return _piece(attempt, begin, data, window.total_bytes, live=True, problem=problem)

        return await self._from_either(
            run_id, key, number, archived, running, lambda attempt, why, live: _piece(attempt, 0, b"", 0, live, why)
        )

    async def search(
        self,
        run_id: str,
        key: str,
        number: int | None,
        text: str,
        *,
        offset: int = 0,
        most: int = MATCHES_MAX,
        heed_case: bool = False,
    ) -> Found:
        """Where this text stands in the output, from `offset` on; bounded in time (`SEARCH_S`) and in matches.

        Raises:
            InputError: no such run, task or attempt; the text is empty or too long.
            InfrastructureError: as `read`.
        """
        wanted = text.encode("utf-8", "surrogateescape")
        if not 0 < len(wanted) <= TEXT_MAX_BYTES:
            raise InputError(
                f"a text of {len(wanted)} bytes cannot be looked for", advice=f"Give 1 to {TEXT_MAX_BYTES} bytes."
            )
        offset, most = max(0, offset), max(1, min(most, MATCHES_MAX))

        def found(
            attempt: AttemptStory, scanner: Scanner, looked: tuple[bool, int, int], problem: str, *, live: bool
        ) -> Found:
            ended, searched, total = looked
            return Found(
                attempt=attempt.id.number,
                matches=tuple(scanner.matches),
                next_offset=None if ended else scanner.next_offset,
                searched_bytes=searched,
                total_bytes=total,
                live=live,
                problem=problem,
            )

        async def archived(path: Path, attempt: AttemptStory, log: LogRecord) -> Found:
            scanner = Scanner(wanted, at=offset, most=most, heed_case=heed_case)
            look = partial(search_file, path, scanner, offset=offset, bound_s=SEARCH_S)
            return found(attempt, scanner, await self._in_thread(look), log.problem or "", live=False)

        async def running(handle: Handle, attempt: AttemptStory, driver: str) -> Found:
            scanner = Scanner(wanted, at=offset, most=most, heed_case=heed_case)
            opened = await self._open_driver(driver)
            looked, problem = await search_running(opened, handle, scanner, offset=offset, bound_s=SEARCH_S)
            return found(attempt, scanner, looked, problem, live=True)

        def nothing(attempt: AttemptStory, why: str, live: bool) -> Found:
            return found(attempt, Scanner(wanted, at=0, most=1), (True, 0, 0), why, live=live)

        return await self._from_either(run_id, key, number, archived, running, nothing)

    async def whole(self, run_id: str, key: str, number: int | None) -> Whole:
        """Where all of it is. Raises as `read`."""
        story = await self._stories.run(run_id)
        attempt = story.task(key).attempt(number)
        name = f"{run_id}-{story.task(key).task.key}.{attempt.id.number}.log"
        log = attempt.log
        path = None if log is None or log.path is None else story.history.files.path / log.path
        return Whole(path, attempt.id.number, name, "" if log is None else log.problem or "")

    @asynccontextmanager
    async def output(self, run_id: str, key: str, number: int) -> AsyncIterator[AsyncIterator[LogChunk]]:
        """What the driver gives of it now, from its start; nothing where it has not started.

        Raises:
            As `read`; NoSuchAttempt where it was archived meanwhile.
        """
        story = await self._stories.run(run_id)
        attempt = story.task(key).attempt(number)
        if attempt.handle is None or attempt.log is not None:
            raise NoSuchAttempt(f"attempt {number} of {key} does not run")
        driver = await self._open_driver(story.driver)
        async with self._output, driver.logs(attempt.handle, follow=False) as chunks:
            yield chunks

    async def follow(self, run_id: str, key: str, number: int | None, begin_at: int | None, viewer: Viewer) -> None:
        """Give the viewer output as it is written, and what was there before it; of all attempts from the newest on.

        Args:
            number: this attempt alone.
            begin_at: position of the first byte, counted from the end where it is negative; None for what is shown
                first of what was there before (`tap.TAIL_BYTES`).

        Returns at the end: of that attempt, or of the task. What cannot be read on is told to the viewer as the end.

        Raises:
            InputError: no such run, task or attempt.
            InfrastructureError: the journal cannot be read.
        """
        story = await self._stories.run(run_id)
        await Follower(self, story, story.task(key), viewer, threads=self._threads).follow(number, begin_at)

    @asynccontextmanager
    async def live(self, story: RunStory, attempt: AttemptStory) -> AsyncIterator[LiveLog]:
        """The one live log of an attempt that has a handle; it is read as long as somebody is in this block."""
        assert self._group is not None, "it is used inside its context"
        place = (story.history.id, attempt.id.task_id, attempt.id.number)
        kept = self._live.get(place)
        if kept is None or kept.log.over:
            kept = self._live[place] = _Kept(LiveLog(Tap(story, attempt, self._open_driver)))
            self._group.start_soon(self._keep, kept)
        kept.users += 1
        try:
            yield kept.log
        finally:
            kept.users -= 1
            if kept.users == 0:
                kept.scope.cancel()
                if self._live.get(place) is kept:
                    del self._live[place]

    @asynccontextmanager
    async def own_tap(self, story: RunStory, attempt: AttemptStory) -> AsyncIterator[Tap]:
        """A reading of its own from the start, for one viewer. Raises InputError where too many have one."""
        try:
            self._own_taps.acquire_nowait()
        except anyio.WouldBlock:
            raise InputError(
                f"{OWN_TAPS} others follow output from far back just now", advice="Follow it from its end."
            ) from None
        try:
            yield Tap(story, attempt, self._open_driver)
        finally:
            self._own_taps.release()

    async def _keep(self, kept: _Kept) -> None:
        with kept.scope:
            await kept.log.run()

    async def _in_thread(self, call: Callable[[], _Answer]) -> _Answer:
        return await anyio.to_thread.run_sync(call, limiter=self._threads)

    async def _from_either(
        self,
        run_id: str,
        key: str,
        number: int | None,
        archived: Callable[[Path, AttemptStory, LogRecord], Awaitable[_Answer]],
        running: Callable[[Handle, AttemptStory, str], Awaitable[_Answer]],
        nothing: Callable[[AttemptStory, str, bool], _Answer],
    ) -> _Answer:
        """Ask its archive, else its driver; again, where it is archived between the two."""
        story = await self._stories.run(run_id)
        for left in reversed(range(TRIES)):
            attempt = story.task(key).attempt(number)
            if attempt.log is not None and attempt.log.path is not None:
                return await archived(story.history.files.path / attempt.log.path, attempt, attempt.log)
            if attempt.log is not None:
                return nothing(attempt, attempt.log.problem or "it has no output: it did not start", False)
            if attempt.handle is None:
                return nothing(attempt, "it has not started yet", story.live)
            try:
                async with self._running:
                    with anyio.fail_after(RUNNING_READ_S):
                        return await running(attempt.handle, attempt, story.driver)
            except NoSuchAttempt as error:
                if left == 0 and story.live and story.driver.startswith(POOL_PREFIX):
                    return nothing(attempt, error.message, True)
                if left == 0 or not story.live:
                    raise
            except TimeoutError:
                raise InfrastructureError(
                    f"the output of {attempt.id} could not be read within {RUNNING_READ_S:.0f} s",
                    advice="Try again when it has ended: its archive is read at once.",
                ) from None
            await anyio.sleep(PAUSE_S)
            await story.refresh()
        raise AssertionError("the last try returns or raises")


class _Kept:
    """A live log, and how many use it."""

    def __init__(self, log: LiveLog) -> None:
        self.log = log
        self.users = 0
        self.scope = anyio.CancelScope()


def _piece(
    attempt: AttemptStory, offset: int, data: bytes, total_bytes: int, live: bool = False, problem: str = ""
) -> Piece:
    return Piece(
        attempt=attempt.id.number, offset=offset, data=data, total_bytes=total_bytes, live=live, problem=problem
    )
