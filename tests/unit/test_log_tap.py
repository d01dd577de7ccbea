"""Live output for many: read once, from its driver into its archive, whoever is slow, and whatever is cut off."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from wavepool.drivers.base import Driver, LogChunk
from wavepool.engine.history.chronicle import AttemptStory
from wavepool.errors import DriverUnavailable, NoSuchAttempt
from wavepool.model import AttemptId, Handle, LogRecord
from wavepool.monitoring.logs.live import RING_BYTES, STUCK_S, Gap, LiveLog, Seat
from wavepool.monitoring.logs.tap import CUT, LOST, PAUSE_S, TAIL_BYTES, TRIES, Tap
from wavepool.monitoring.runs.stories import RunStory
from wavepool.testing.virtual_time import run_virtual

ATTEMPT = AttemptId("task", 1)


class Story:
    """A run whose attempt is archived as soon as that is looked for."""

    def __init__(self, directory: Path) -> None:
        self.driver = "scripted"
        self.live = True
        self.history = SimpleNamespace(files=SimpleNamespace(path=directory))
        self.attempt = AttemptStory(ATTEMPT, datetime(2026, 1, 1, tzinfo=UTC), 0)
        self.attempt.handle = Handle(driver="scripted", id="1", name="one", attempt=ATTEMPT)
        self.archive: LogRecord | None = None

    async def refresh(self) -> None:
        self.attempt.log = self.archive

    def archived(self, data: bytes, problem: str | None = None) -> None:
        (self.history.files.path / "a.log").write_bytes(data)
        self.archive = LogRecord(path="a.log", size_bytes=len(data), problem=problem)


class Scripted:
    """A driver whose log is read several times; each reading gives its chunks, and then ends or fails."""

    def __init__(self, *readings: Sequence[LogChunk | Exception]) -> None:
        self.readings = list(readings)
        self.since: list[datetime | None] = []

    @asynccontextmanager
    async def logs(
        self, handle: Handle, since: datetime | None = None, *, follow: bool = True
    ) -> AsyncIterator[AsyncIterator[LogChunk]]:
        self.since.append(since)
        yield self._give(self.readings.pop(0))

    async def _give(self, reading: Sequence[LogChunk | Exception]) -> AsyncIterator[LogChunk]:
        for each in reading:
            if isinstance(each, Exception):
                raise each
            yield each


class Heard:
    def __init__(self) -> None:
        self.data_ = b""
        self.gaps: list[str] = []

    async def data(self, piece: bytes) -> None:
        assert piece
        self.data_ += piece

    async def gap(self, why: str) -> None:
        self.gaps.append(why)


def out(data: bytes, **fields: Any) -> LogChunk:
    return LogChunk(stream="stdout", data=data, **fields)


def err(data: bytes) -> LogChunk:
    return LogChunk(stream="stderr", data=data)


def tap_of(story: Story, driver: Scripted) -> Tap:
    async def opened(name: str) -> Driver:
        assert name == "scripted"
        return cast(Driver, driver)

    return Tap(cast(RunStory, story), story.attempt, opened)


def poured(story: Story, driver: Scripted) -> tuple[Heard, int | None]:
    """What came, and where the archive goes on."""
    heard = Heard()

    async def pour() -> int | None:
        rest = await tap_of(story, driver).pour(heard)
        return None if rest is None else rest.offset

    return heard, run_virtual(pour)


GONE = NoSuchAttempt("gone")
AWAY = DriverUnavailable("away")


def test_one_that_is_read_to_its_end_needs_no_archive(tmp_path: Path) -> None:
    heard, rest = poured(Story(tmp_path), Scripted([out(b"one"), err(b"two")]))
    assert (heard.data_, heard.gaps, rest) == (b"onetwo", [], None)


def test_one_that_was_removed_under_the_reader_goes_on_in_its_archive_at_the_very_byte(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.archived(b"y\ny\ny\ny\n")  # what stands there is everywhere the same: the count must tell
    heard, rest = poured(story, Scripted([out(b"y\n"), out(b"y\n"), GONE]))
    assert (heard.data_, heard.gaps, rest) == (b"y\ny\n", [], 4)


def test_where_the_engine_dropped_the_start_the_place_is_known_by_what_stands_there(tmp_path: Path) -> None:
    story = Story(tmp_path)
    lines = [f"line {number} of many\n".encode() for number in range(1000)]
    story.archived(b"".join(lines[400:]), problem="of its output only so much is kept")
    heard, rest = poured(story, Scripted([*map(out, lines[:700]), GONE]))
    assert heard.gaps == []
    assert rest == len(b"".join(lines[400:700]))


def test_a_place_that_cannot_be_known_is_said_to_be_unknown(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.archived(b"n" * (TAIL_BYTES + 500))
    heard, rest = poured(story, Scripted([out(b"y" * 100), GONE]))
    assert (heard.gaps, rest) == ([LOST], 500)


def test_a_daemon_that_was_away_is_read_again_without_what_had_come(tmp_path: Path) -> None:
    driver = Scripted([out(b"one "), err(b"two "), AWAY], [AWAY], [out(b"one three"), err(b"two four")])
    heard, rest = poured(Story(tmp_path), driver)
    assert (heard.data_, heard.gaps, rest) == (b"one two three" + b"four", [], None)
    assert driver.since == [None, None, None]


def test_after_a_gap_one_that_was_cut_says_that_it_may_repeat(tmp_path: Path) -> None:
    driver = Scripted([out(b"one", gap=True, gap_reason="the start is gone"), AWAY], [out(b"two")])
    heard, _ = poured(Story(tmp_path), driver)
    assert (heard.data_, heard.gaps) == (b"onetwo", ["the start is gone", CUT])
    assert driver.since[1] is not None


def test_a_start_that_was_dropped_between_two_readings_is_said_to_be_missing_or_twice(tmp_path: Path) -> None:
    driver = Scripted([out(b"one two "), AWAY], [out(b"two three", gap=True)])
    heard, _ = poured(Story(tmp_path), driver)
    assert (heard.data_, heard.gaps) == (b"one two two three", [CUT])


def test_a_daemon_that_stays_away_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(DriverUnavailable):
        poured(Story(tmp_path), Scripted(*[[AWAY]] * TRIES))


def test_where_the_driver_has_nothing_the_archive_is_waited_for_as_long_as_the_run_lives(tmp_path: Path) -> None:
    story, readings = Story(tmp_path), 3 * TRIES

    class Late(Scripted):
        async def _give(self, reading: Sequence[LogChunk | Exception]) -> AsyncIterator[LogChunk]:
            if not self.readings:
                story.archived(b"all of it")
            async for each in super()._give(reading):
                yield each

    heard, rest = poured(story, Late(*[[GONE]] * readings))
    assert (heard.data_, heard.gaps, rest) == (b"", [], 0)


def test_what_is_gone_of_a_dead_run_is_not_waited_for(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.live = False
    with pytest.raises(NoSuchAttempt):
        poured(story, Scripted([GONE]))


def test_an_attempt_without_an_archive_says_why(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.archive = LogRecord(problem="the disk was full")
    heard, rest = poured(story, Scripted([GONE]))
    assert (heard.gaps, rest) == (["the disk was full"], None)


# -- the ring --


def ring(tmp_path: Path) -> LiveLog:
    return LiveLog(tap_of(Story(tmp_path), Scripted()), anyio.current_time)


def taken(seat: Seat) -> list[bytes | str]:
    found: list[bytes | str] = []
    while (each := seat.take()) is not None:
        found.append(each.why if isinstance(each, Gap) else each)
    return found


def test_viewers_get_the_same_bytes_from_where_they_came_in(tmp_path: Path) -> None:
    async def watch() -> None:
        log = ring(tmp_path)
        first = log.take_seat(None)
        await log.data(b"one")
        second = log.take_seat(None)
        await log.gap("the daemon was away")
        await log.data(b"two")
        late, end = log.take_seat(-2), log.take_seat(6)
        assert taken(first) == taken(second) == [b"one", "the daemon was away", b"two"]
        assert (taken(late), taken(end)) == ([b"wo"], [])

    run_virtual(watch)


def test_memory_is_bounded_and_who_was_overtaken_is_told_how_much_he_missed(tmp_path: Path) -> None:
    async def watch() -> None:
        log = ring(tmp_path)
        seat = log.take_seat(None)
        for number in range(64):
            await log.data(bytes([number]) * 65536)
            assert log.end - log.start <= 2 * RING_BYTES
        await log.data(b"x" * (3 * RING_BYTES))  # one piece that is larger than all
        assert log.end - log.start == RING_BYTES
        gap, *data = taken(seat)
        missed = 64 * 65536 + 3 * RING_BYTES - TAIL_BYTES
        assert gap == f"{missed} bytes are left out here: they came faster than they could be shown"
        assert b"".join(each for each in data if isinstance(each, bytes)) == b"x" * TAIL_BYTES

    run_virtual(watch)


def test_the_task_is_not_read_while_all_who_look_at_it_are_stuck(tmp_path: Path) -> None:
    async def watch() -> None:
        log = ring(tmp_path)
        asleep, other = log.take_seat(None), log.take_seat(None)
        await log.data(b"one")
        assert asleep.take() == b"one"
        assert other.take() == b"one"
        await anyio.sleep(STUCK_S + 1)
        with anyio.move_on_after(3600) as waiting:
            await log.data(b"two")
        assert waiting.cancelled_caught, "both have had their first piece for too long"
        assert other.take() is None
        await log.data(b"two")  # one of them is awake
        assert other.take() == b"two"
        await anyio.sleep(STUCK_S + 1)
        other.leave()
        asleep.leave()
        await log.data(b"three")  # nobody is there: who keeps the log ends it

    run_virtual(watch)


def test_a_log_is_settled_once_what_was_there_before_has_been_read(tmp_path: Path) -> None:
    async def watch() -> None:
        story = Story(tmp_path)
        log = LiveLog(tap_of(story, Scripted([out(b"a" * 10), AWAY], [out(b"a" * 10 + b"b")])), anyio.current_time)
        begun_s = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(log.run)
            await log.settled.wait()
            assert log.end == 10
            assert anyio.current_time() - begun_s < PAUSE_S
        assert (log.over, log.end, log.rest, log.problem) == (True, 11, None, "")

    run_virtual(watch)


def test_what_cannot_be_read_is_the_end_of_a_live_log_in_words(tmp_path: Path) -> None:
    async def watch() -> None:
        log = LiveLog(tap_of(Story(tmp_path), Scripted(*[[AWAY]] * 5)), anyio.current_time)
        await log.run()
        assert log.over
        assert "away" in log.problem

    run_virtual(watch)
