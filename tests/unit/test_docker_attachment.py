"""Attached output: frames cut anywhere, a reader that is slow, an end in the middle, a stream without frames."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.drivers.docker.attachment import INBOX_MAX_BYTES, Attachment, Inbox
from wavepool.errors import DriverUnavailable

NUMBERS = {"stdout": 1, "stderr": 2}


class Cable:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True


def attached() -> tuple[Attachment, Inbox, Cable]:
    cable = Cable()
    inbox = Inbox(cable)
    return Attachment(cable, inbox, drained=anyio.lowlevel.checkpoint, release=cable.close), inbox, cable


def framed(stream: str, data: bytes) -> bytes:
    return bytes((NUMBERS[stream], 0, 0, 0)) + len(data).to_bytes(4, "big") + data


frames = st.lists(st.tuples(st.sampled_from(sorted(NUMBERS)), st.binary(max_size=40)), max_size=8)


@given(frames, st.lists(st.integers(1, 30), min_size=1))
def test_frames_come_whole_however_they_are_cut(sent: list[tuple[str, bytes]], lengths: list[int]) -> None:
    async def read() -> dict[str, bytes]:
        attachment, inbox, _ = attached()
        rest = b"".join(framed(stream, data) for stream, data in sent)
        got = {"stdout": b"", "stderr": b""}

        async def feed(rest: bytes) -> None:
            while rest:
                for length in lengths:
                    inbox.feed_data(rest[:length])
                    rest = rest[length:]
                    await anyio.lowlevel.checkpoint()
            inbox.feed_eof()

        async with anyio.create_task_group() as group:
            group.start_soon(feed, rest)
            async for frame in attachment:
                assert frame.data
                got[frame.stream] += frame.data
        return got

    got = anyio.run(read)
    for stream in got:
        assert got[stream] == b"".join(data for whose, data in sent if whose == stream)


@pytest.mark.anyio
async def test_many_small_frames_are_read_in_time_and_leave_turns_to_others() -> None:
    attachment, inbox, _ = attached()
    count = 250_000
    inbox.feed_data(framed("stdout", b"x") * count)
    inbox.feed_eof()
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    before_s = time.process_time()
    async with anyio.create_task_group() as group:
        group.start_soon(take_turns)
        frames_read = 0
        async for _frame in attachment:
            frames_read += 1
            assert time.process_time() - before_s < 8, "each frame must cost the same, however much waits behind it"
        turns_meanwhile = turns
        group.cancel_scope.cancel()
    assert frames_read == count
    assert turns_meanwhile > 1000


@pytest.mark.anyio
async def test_what_nobody_reads_holds_the_socket_and_reading_lets_it_go_on() -> None:
    attachment, inbox, cable = attached()
    inbox.feed_data(framed("stdout", b"x" * INBOX_MAX_BYTES))
    assert not cable.reading
    assert len((await anext(attachment)).data) == INBOX_MAX_BYTES
    assert cable.reading


@pytest.mark.anyio
async def test_an_end_inside_a_frame_gives_what_came() -> None:
    attachment, inbox, _ = attached()
    inbox.feed_data(framed("stderr", b"half of it")[:-3])
    inbox.set_exception(OSError("cut"), None)
    assert [frame.data async for frame in attachment] == [b"half of"]
    assert not attachment.is_open


@pytest.mark.anyio
async def test_a_stream_without_frames_is_refused() -> None:
    attachment, inbox, _ = attached()
    inbox.feed_data(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(DriverUnavailable, match="not framed"):
        await anext(attachment)


def test_nothing_is_sent_over_a_closed_connection() -> None:
    attachment, _, cable = attached()
    attachment.write(b"one")
    attachment.close()
    assert not attachment.is_open
    with pytest.raises(DriverUnavailable):
        attachment.write(b"two")
    assert cable.sent == [b"one"]
